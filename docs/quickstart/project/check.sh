#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The tests of words: its counts against those of wc.
failed=0
for text in '' 'one' 'one two' '  spaces   around  ' 'a
b
c'; do
	mine=$(printf '%s' "$text" | ./words)
	wanted=$(printf '%s' "$text" | wc | awk '{ print $1, $2, $3 }')
	if [ "$mine" = "$wanted" ]; then
		echo "ok: $mine"
	else
		echo "not ok: $mine instead of $wanted"
		failed=1
	fi
done
exit $failed
