# fish loads this file at the first TAB after `mirror`.
mirror completion fish 2>/dev/null | source
