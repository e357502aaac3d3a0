#!/bin/sh
# A board with one line of text, 40 characters wide: it refuses what does not fit.
set -eu
mkdir -p live/board
cd live/board

if [ "$TOWPATH_VERB" = observe ]; then
  if [ -e held ]; then cat held; else echo '{"held": null}'; fi
  exit 0
fi

text=
[ -z "$TOWPATH_ARTIFACT_PATH" ] || text=$(tar -xOf "$TOWPATH_ARTIFACT_PATH" board.txt)
if [ "$TOWPATH_VERB" = deploy ] && [ "${#text}" -gt 40 ]; then
  echo "the board is 40 characters wide, and this text has ${#text}" >&2
  exit 10
fi

held=null
[ -z "$TOWPATH_RELEASE" ] ||
  held="{\"version\": \"$TOWPATH_VERSION\", \"release\": \"$TOWPATH_RELEASE\", \"digest\": \"$TOWPATH_DIGEST\"}"
echo "$text" >board.txt
echo "{\"held\": $held, \"fence\": {\"turn\": $TOWPATH_TURN, \"act\": $TOWPATH_ACT}}" >held.new
mv held.new held
