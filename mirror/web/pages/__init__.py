"""Pages for people: handlers, the data of a record page, its sections, graphics and labels."""
