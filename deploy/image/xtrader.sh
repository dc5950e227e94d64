#!/bin/sh
# The command in the image. As the container's first process it puts an init before the recorder, which passes signals on, collects
# what ends, and ends with the recorder's exit code.
if [ $$ -eq 1 ]; then
  exec /usr/bin/tini -- /opt/xtrader/bin/xtrader "$@"
fi
exec /opt/xtrader/bin/xtrader "$@"
