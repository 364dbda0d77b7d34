#!/usr/bin/env bash
# Boots a virtual machine of two NUMA nodes in software and runs tests of tests.txt in it.
#
#   tests/numa/vm.sh BUILD-FOLDER [--machine two|memoryless|large] [TEST...]
#
# One line a test, and what a failed one said. Exit status: 0; 1 where a test failed or the machine
# did not come to its end; 2 for bad usage; 77 with a line where qemu or its kernel is missing,
# which scripts/numa-vm fetches. The machine has no network and no disk, and sees only copies.
set -euo pipefail

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
root=$(cd "$here/../.." && pwd)
kernel=$root/.cache/numa-vm/vmlinuz
# Against a hang only: a boot takes ten seconds, all tests together about a minute.
test_seconds=240
machine_seconds=1200

leave() {
  echo "numa-vm: $2" >&2
  exit "$1"
}

# The lines of tests.txt, without comments.
all_tests() {
  sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$here/tests.txt"
}

# Where the programs and libraries that the chosen tests need are, each once.
needed_files() {
  local name machine words word
  ldconfig=$(PATH=$PATH:/sbin:/usr/sbin command -v ldconfig)
  # Opened at run time, so no program names it.
  "$ldconfig" -p | sed -n 's/.*libnuma\.so\.1 .*x86-64.*=> //p' | head -n 1
  while read -r name machine words; do
    for word in $words; do
      [[ $word == */* && -x $tests/$word ]] || continue
      ldd "$tests/$word" | grep -o '/[^ ]*' || true
    done
  done <<<"$chosen"
}

# What the machine runs as its first process.
write_init() {
  local name machine words
  cat <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc none /proc
mount -t sysfs none /sys
mount -t cgroup2 none /sys/fs/cgroup
mount -t devtmpfs none /dev
mount -t tmpfs none /tmp
mkdir -p /dev/shm
mount -t tmpfs none /dev/shm
# Pages must lie where they were put when a test looks.
echo 0 >/proc/sys/kernel/numa_balancing
cd /sys/devices/system/node
echo "numa-vm: nodes $(cat online), with memory $(cat has_memory)"
run() {
  name=$1
  shift
  before=$(cut -d. -f1 /proc/uptime)
  # Not this shell: only the test runs on the library.
  timeout -k 5 "$TEST_SECONDS" env LD_PRELOAD=/library/libelasticpool.so "$@" \
    >/tmp/said 2>&1 </dev/null
  status=$?
  if [ $status -ne 0 ]; then tail -n 40 /tmp/said | sed 's/^/  | /'; fi
  now=$(cut -d. -f1 /proc/uptime)
  echo "numa-vm: $name $status $((now - before))"
}
cd /tests
INIT
  echo "export TEST_SECONDS=$test_seconds"
  while read -r name machine words; do
    echo "run $name ${words}"
  done <<<"$chosen"
  echo 'echo "numa-vm: end"'
  echo 'poweroff -f'
}

make_initramfs() {
  local tree=$work/tree file
  mkdir -p "$tree"/{bin,proc,sys,dev,tmp,library,tests}
  cp "$busybox" "$tree/bin/busybox"
  cp -L "$build/preload/libelasticpool.so" "$tree/library/"
  while read -r file; do
    mkdir -p "$tree$(dirname "$file")"
    cp -L "$file" "$tree$file"
  done < <(needed_files | sort -u)
  while read -r file; do
    mkdir -p "$tree/tests/$(dirname "$file")"
    cp "$tests/$file" "$tree/tests/$file"
  done < <(grep -oE '(numa|unit|dropin|pressure)/[a-z_]+' <<<"$chosen" | sort -u)
  write_init >"$tree/init"
  chmod 755 "$tree/init"
  (cd "$tree" && find . | cpio --quiet -o -H newc | gzip -1) >"$work/initramfs"
}

boot() {
  local first_mib=768 pool='' nodes
  if [[ $machine == large ]]; then
    first_mib=4096
    # Later there is no GiB left in one piece.
    pool="hugepagesz=1G hugepages=1"
  fi
  nodes=(
    -machine q35
    -object "memory-backend-ram,id=memory0,size=${first_mib}M"
    -numa "node,cpus=0-1,memdev=memory0"
    -object "memory-backend-ram,id=memory1,size=768M" -numa "node,cpus=2-3,memdev=memory1"
  )
  if [[ $machine == memoryless ]]; then
    # Only old machines have a node of no memory.
    nodes=(-machine pc-i440fx-5.0 -numa "node,cpus=0-1,mem=1536M" -numa "node,cpus=2-3,mem=0")
  fi
  timeout -k 5 "$machine_seconds" qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 4 \
    -m "$((first_mib + 768))M" "${nodes[@]}" -nodefaults -no-user-config -display none -no-reboot \
    -serial "file:$work/serial" -kernel "$kernel" -initrd "$work/initramfs" \
    -append "console=ttyS0 quiet panic=-1 oops=panic $pool" \
    </dev/null >"$work/qemu-said" 2>&1 || true
  tr -d '\r' <"$work/serial" >"$work/console"
}

# Prints each test's outcome as the machine told it; fails if one failed or said nothing.
judge() {
  local name machine words status seconds failed=0
  while read -r name machine words; do
    read -r status seconds < <(sed -n "s/^numa-vm: $name \([0-9]* [0-9]*\)$/\1/p" "$work/console")
    case $status in
      0) echo "passed   $name ($seconds s)" ;;
      # All that they need is there: who skips has found one node.
      77) echo "SKIPPED  $name" && failed=1 ;;
      '') echo "NOT RUN  $name" && failed=1 ;;
      *) echo "FAILED   $name (status $status)" && failed=1 ;;
    esac
  done <<<"$chosen"
  if ! grep -q '^numa-vm: end$' "$work/console"; then
    echo "numa-vm: the machine did not come to its end; its last words:" >&2
    grep -v 'deprecated' "$work/qemu-said" >&2 || true
    tail -n 30 "$work/console" >&2
    return 1
  fi
  if ((failed)); then grep -v '^numa-vm: [a-z-]* 0 ' "$work/console" >&2; fi
  return "$failed"
}

(($# > 0)) || leave 2 "usage: tests/numa/vm.sh BUILD-FOLDER [--machine MACHINE] [TEST...]"
build=$(readlink -f "$1")
tests=$build/tests
shift
machines=(two memoryless large)
if [[ ${1-} == --machine ]]; then
  [[ " ${machines[*]} " == *" ${2-} "* ]] || leave 2 "--machine is one of ${machines[*]}"
  machines=("$2")
  shift 2
fi
for name in "$@"; do
  all_tests | grep -q "^$name " || leave 2 "there is no test '$name'; tests/numa/tests.txt has them"
done

command -v qemu-system-x86_64 >/dev/null || leave 77 "no qemu-system-x86_64: see scripts/numa-vm"
command -v cpio >/dev/null || leave 77 "no cpio: see scripts/numa-vm"
busybox=$(command -v busybox) || leave 77 "no busybox: see scripts/numa-vm"
[[ -r $kernel ]] || leave 77 "no kernel for the machine: see scripts/numa-vm"
[[ -e $build/preload/libelasticpool.so ]] || leave 2 "$1 holds no libelasticpool.so"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
outcome=0
for machine in "${machines[@]}"; do
  wanted=$(all_tests | awk -v machine="$machine" -v names=" $* " \
    '$2 == machine && (names == "  " || index(names, " " $1 " "))')
  [[ -n $wanted ]] || continue
  chosen=$wanted
  rm -rf "$work/tree"
  make_initramfs
  boot
  judge || outcome=1
done
exit "$outcome"
