#!/usr/bin/python3
"""bash: a script that forks 2000 times, for substitutions, pipes and background jobs."""

import harness

SCRIPT = """
sum=0
for ((i = 0; i < 600; i++)); do
  words=$(echo "$i and $((i * i))" | tr ' ' '_')    # two forks and an exec
  sum=$((sum + ${#words}))
  lines[i % 100]=$words
done
for ((i = 0; i < 40; i++)); do
  for ((job = 0; job < 5; job++)); do
    (printf '%s\\n' "${lines[@]}" > "job$job") &
  done
  wait
done
printf '%s\\n' "${lines[@]}" | sort | md5sum
echo "$sum"
"""


def body(trial: harness.Harness) -> None:
    trial.same(["bash", "-euc", SCRIPT], processes=1000)


if __name__ == "__main__":
    harness.main(body)
