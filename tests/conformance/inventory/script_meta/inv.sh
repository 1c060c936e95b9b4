#!/bin/sh
cat <<'END'
{"g": {"hosts": ["a", "b"], "vars": {"x": 1, "t": "{{ y }}"}, "children": ["sub"]},
 "sub": {"hosts": ["c"]},
 "plain": ["d", "a"],
 "_meta": {"hostvars": {"a": {"v": [1, true, null]}, "c": {"v": "c"}}}}
END
