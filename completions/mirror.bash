# bash loads this file at the first TAB after `mirror`.
eval "$(mirror completion bash 2>/dev/null)"
