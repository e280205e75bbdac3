deadline=$((SECONDS + ${PLAYTRACE_HEALTH_SECONDS:-300}))
for url in "${PROFILE_PLAYBACK_URL:-http://127.0.0.1:8070}/health" ${PROFILE_PLAYBACK_HEALTH_URL:+"$PROFILE_PLAYBACK_HEALTH_URL"}; do
  until curl --fail --silent --show-error --max-time 10 --output /dev/null "$url"; do
    if [ "$SECONDS" -ge "$deadline" ]; then
      echo "$url is not healthy" >&2
      exit 1
    fi
    sleep 2
  done
  echo "$url is healthy"
done
