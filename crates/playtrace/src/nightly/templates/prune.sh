playtrace prune @{ nights }@ --older-than @{ retention }@d --max-size 250MB
# What the nights' replays left, where this runner sees it: no bundle needs that any more.
for dir in "${PROFILE_COVERAGE_DIR:-}" "${PROFILE_PLAYBACK_ROOT:-}"; do
  if [ -d "$dir" ] && ! playtrace prune "$dir" --older-than @{ retention }@d; then
    echo "@% if github %@::warning title=Not pruned::@% endif %@$dir keeps what is older than @{ retention }@ days"
  fi
done
