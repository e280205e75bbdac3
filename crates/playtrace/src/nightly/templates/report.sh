for name in PROFILE_COVERAGE_CONFIG PROFILE_COVERAGE_ROOT; do
  [ -n "${!name:-}" ] || unset "$name"
done
playtrace report @{ artifacts }@/@{ entry.traced_as }@.coverage --output-dir full-report --format json,html
