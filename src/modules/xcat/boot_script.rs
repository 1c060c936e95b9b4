//! The sh program that boots nodes a given number at a time and watches each until it runs the image.
//!
//! It runs on the management node, so a lost connection to it does not stop the watching. Its output is
//! shown while it comes, so it is for people and for [`super::boot`] at once: `NODE: booted after N s (WORDS)`,
//! `NODE: failed after N s (WORDS)`, `NODE: not booted (WORDS)`, and `NODE console: LINE` for those that failed.

/// Functions that ask nodes which image they run; also used by the probe.
pub const RUNNING: &str = r#"x_comma_list() { tr '\n' ',' | sed -e 's/,,*/,/g' -e 's/^,//' -e 's/,$//'; }
x_reachable() {
  xcat nodestat "$1" </dev/null 2>/dev/null | sed -n 's/^\([^: ]*\):.*sshd.*/\1/p' | x_comma_list
}
x_infos() {
  x_up=$(x_reachable "$1")
  [ -z "$x_up" ] || xcat xdsh "$x_up" -t 60 -z '( cat /opt/xcat/xcatinfo )' </dev/null 2>/dev/null
}
"#;

/// The program. It expects `x_todo` (lines `NODE MGT OLD-ID`), `x_want`, `x_osimage`, `x_method`, `x_at`, `x_interval`,
/// `x_timeout`, `x_budget`, `x_grace` and `x_consoles`.
pub const WATCH: &str = r#"x_running=
x_failed=0
x_count=0
x_round=0
x_line() { printf '%s\n' "$1" | sed -n "s/^$2: $3//p" | sed -n 1p; }
x_unquoted() { sed -e "s/^'//" -e "s/'\$//"; }
x_id() {
  x_i=$(x_line "$x_info" "$1" 'IMAGEUUID=' | x_unquoted)
  [ -n "$x_i" ] || x_i=$(x_line "$x_info" "$1" 'TIMESTAMP=' | x_unquoted)
  printf '%s' "$x_i"
}
x_done() {
  case $2 in
  ok) echo "$1: booted after $3 s ($4)" ;;
  failed)
    x_failed=$((x_failed + 1))
    echo "$1: failed after $3 s ($4)"
    [ ! -f "$x_consoles/$1" ] || tail -n 20 "$x_consoles/$1" | sed "s/^/$1 console: /" ;;
  esac
}
x_power() {
  case $x_method in
  auto) case $2 in hmc|ivm|fsp) x_how=rnetboot ;; *) x_how=rsetboot ;; esac ;;
  *) x_how=$x_method ;;
  esac
  case $x_how in
  rnetboot) x_out=$(xcat rnetboot "$1" </dev/null 2>&1); x_rc=$? ;;
  rinstall) x_out=$(xcat rinstall "$1" "osimage=$x_osimage" </dev/null 2>&1); x_rc=$? ;;
  *)
    x_out=$(xcat rsetboot "$1" net </dev/null 2>&1); x_rc=$?
    case $x_out in *'Unable to identify plugin'*) x_rc=0 ;; esac
    if [ "$x_rc" = 0 ]; then
      x_how=rpower
      x_out=$(xcat rpower "$1" boot </dev/null 2>&1); x_rc=$?
      case $x_out in "$1: off"*) x_rc=1 ;; esac
    fi ;;
  esac
  [ "$x_rc" != 0 ] || case $x_out in *Error:*) x_rc=1 ;; esac
  [ "$x_rc" = 0 ]
}
x_start() {
  x_since=$(date +%s)
  x_stamp=$(date '+%Y%m%d%H%M%S')
  xc_progress "$1: booting"
  if x_power "$1" "$2"; then
    x_running=$x_running"$1 $x_since $x_stamp $3 0 0 -$xc_nl"
    x_count=$((x_count + 1))
  else
    x_done "$1" failed 0 "$x_how: $(printf '%s\n' "$x_out" | sed -e '/^[[:space:]]*$/d' -e "s/^$1: //" -e 's/^\[[^]]*\]: //' -e 's/^Error: //' | tr '\n' ' ' | sed 's, *$,,')"
  fi
}
x_judge() {
  x_status=$(x_line "$x_states" "$1" 'status=')
  x_time=$(x_line "$x_states" "$1" 'statustime=')
  x_t=$(printf '%s\n' "$x_time" | sed -n 's/^\(..\)-\(..\)-\(....\) \(..\):\(..\):\(..\)$/\3\1\2\4\5\6/p')
  x_fresh=no
  [ -z "$x_t" ] || [ "$x_t" -lt "$3" ] || x_fresh=yes
  x_now=$(date +%s)
  x_age=$((x_now - $2))
  x_is=$(x_id "$1")
  x_wrong=$5
  x_stuck=$6
  if [ "$x_fresh" = yes ] && [ "$x_status" = booted ] && [ "$x_is" = "$x_want" ]; then
    x_done "$1" ok "$x_age" "status booted"; return
  fi
  if [ "$x_fresh" = yes ] && [ "$x_status" = failed ]; then
    x_done "$1" failed "$x_age" 'its status is failed: a postscript ended with an error'; return
  fi
  if [ "$x_fresh" = yes ] && [ "$x_status" = booted ] && [ -n "$x_is" ]; then
    x_wrong=$((x_wrong + 1))
    if [ "$x_wrong" -ge 2 ]; then
      x_done "$1" failed "$x_age" "it booted another build of an image ($x_is instead of $x_want)"; return
    fi
  fi
  if [ "$x_is" = "$x_want" ] && [ "$4" != "$x_want_word" ]; then
    [ "$x_stuck" != 0 ] || x_stuck=$x_now
    if [ $((x_now - x_stuck)) -ge "$x_grace" ]; then
      x_done "$1" ok "$x_age" "it runs this image, but its status stays ${x_status:-unset}"; return
    fi
  fi
  if [ "$x_age" -ge "$x_timeout" ]; then
    x_why="it did not come back with this image within $x_timeout s"
    if [ "$x_fresh" = yes ]; then x_why="$x_why; its status is $x_status since $x_time"; else x_why="$x_why; it reported nothing"; fi
    [ -z "$x_is" ] || x_why="$x_why; it runs $x_is"
    x_done "$1" failed "$x_age" "$x_why"; return
  fi
  x_word=$x_status
  [ "$x_fresh" = yes ] || x_word=no-report
  if [ "$x_word" != "$7" ] || [ $((x_round % 6)) = 0 ]; then xc_progress "$1: $x_word ($x_age s)"; fi
  x_left=$x_left"$1 $2 $3 $4 $x_wrong $x_stuck $x_word$xc_nl"
  x_left_count=$((x_left_count + 1))
}
x_poll() {
  x_round=$((x_round + 1))
  x_names=$(printf '%s' "$x_running" | sed 's/ .*//' | x_comma_list)
  x_states=$(xcat lsdef "$x_names" -c -i status,statustime </dev/null 2>/dev/null)
  x_info=$(x_infos "$x_names")
  x_left=
  x_left_count=0
  while read -r x_1 x_2 x_3 x_4 x_5 x_6 x_7; do
    [ -z "$x_1" ] || x_judge "$x_1" "$x_2" "$x_3" "$x_4" "$x_5" "$x_6" "$x_7"
  done <<XC_END
$x_running
XC_END
  x_running=$x_left
  x_count=$x_left_count
}
x_want_word=$(printf '%s' "$x_want" | tr ' ' _)
while [ -n "$x_todo" ] || [ -n "$x_running" ]; do
  while [ -n "$x_todo" ] && [ "$x_count" -lt "$x_at" ] && [ "$x_failed" -le "$x_budget" ]; do
    x_first=${x_todo%%"$xc_nl"*}
    case $x_todo in *"$xc_nl"*) x_todo=${x_todo#*"$xc_nl"} ;; *) x_todo= ;; esac
    set -f
    set -- $x_first
    set +f
    [ $# = 0 ] || x_start "$1" "$2" "$3"
  done
  [ -n "$x_running" ] || break
  sleep "$x_interval"
  x_poll
done
while read -r x_1 x_2; do
  [ -z "$x_1" ] || echo "$x_1: not booted (others failed)"
done <<XC_END
$x_todo
XC_END
"#;
