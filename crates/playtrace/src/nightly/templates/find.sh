if [ -n "${PLAYTRACE_BIN:-}" ]; then
  export PATH="$PLAYTRACE_BIN:$PATH"
@% if github %@  echo "$PLAYTRACE_BIN" >> "$GITHUB_PATH"
@% endif %@fi
playtrace --version
