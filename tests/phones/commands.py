"""Android's commands that a chroot needs, as scripts over the files beneath /phone."""

from __future__ import annotations

_SHEBANG = "#!/bin/sh\n"

SCRIPTS = {
    "getprop": """
if [ $# -eq 0 ]; then
  for file in /phone/properties/*; do echo "[${file##*/}]: [$(cat "$file")]"; done
else
  cat "/phone/properties/$1" 2>/dev/null || echo "${2:-}"
fi
""",
    "dumpsys": """
case "$1 ${2:-}" in
  "deviceidle enabled") cat /phone/doze 2>/dev/null || echo 1; exit ;;
  "deviceidle enable") echo 1 > /phone/doze; exit ;;
  "deviceidle disable") echo 0 > /phone/doze; exit ;;
  "deviceidle get") echo ACTIVE; exit ;;
esac
cat "/phone/dumpsys/$1" 2>/dev/null || echo "Can't find service: $1"
""",
    "settings": """
file="/phone/settings/$2/${3:-}"
case $1 in
  get) cat "$file" 2>/dev/null || echo null ;;
  put) mkdir -p "/phone/settings/$2" && printf '%s\\n' "$4" > "$file" ;;
  delete) rm -f "$file" && echo "Deleted 1 rows" ;;
  *) echo "Invalid command: $1"; exit 255 ;;
esac
""",
    "cmd": """
case "$1 ${2:-}" in
  "power set-fixed-performance-mode-enabled") printf '%s\\n' "$3" > /phone/fixed_performance ;;
  *) echo "cmd: Can't find service: $1" >&2; exit 20 ;;
esac
""",
}


def script(name: str) -> str:
    """The whole text of one of them."""
    return _SHEBANG + SCRIPTS[name].lstrip("\n")
