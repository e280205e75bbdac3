for name in PROFILE_COVERAGE_DIR PROFILE_COVERAGE_CONFIG PROFILE_COVERAGE_ROOT PLAYTRACE_PYTHON_VERSION; do
  [ -n "${!name:-}" ] || unset "$name"
done
mkdir -p @{ inputs }@ @{ nights }@ night/upload
code=0
bundle=$(playtrace aggregate @{ inputs }@ --list @{ list | sh }@ \
  --previous @{ nights }@ --output-dir @{ nights }@ --quiet ${NIGHT:+--night "$NIGHT"}) || code=$?
if [ -f "$bundle" ]; then
  cp "$bundle" night/upload/
  cp "${bundle%.tar.zst}.md" night/upload/
@% if github %@  cat "${bundle%.tar.zst}.md" >> "$GITHUB_STEP_SUMMARY"
@% endif %@fi
@% if github %@# Code 3: the bundle is there, and not everything in it is of this night. The playback that failed is red itself.
if [ "$code" -eq 3 ]; then
  echo "::warning title=Profiles carried forward::not every profile has data of this night; see the summary"
  code=0
fi
@% else %@@{ prune }@@% endif %@exit "$code"
