#!/bin/busybox sh
# SPDX-License-Identifier: MIT
# Work of user programs, done by busybox: /job of an initial RAM disk, or on the host with BB=BUSYBOX WORK=FOLDER.
# Marks are those of bench/marks.py. N multiplies all of it.
BB=${BB:-/bin/busybox}
WORK=${WORK:-/tmp}
N=${N:-1}

measure() {
    echo "B $1"
    result=$($1)
    echo "E $1 1"
    echo "R $1 $result"
}

# arithmetic, in place
sha256() { $BB dd if=/dev/zero bs=1M count=$((32 * N)) 2>/dev/null | $BB sha256sum | $BB cut -c1-16; }
# the guest's random numbers, which do not compress: no result to compare
gzip9() { $BB dd if=/dev/urandom bs=1M count=$((4 * N)) 2>/dev/null | $BB gzip -9 >/dev/null; echo -; }
gziptext() { $BB seq 1 $((150000 * N)) | $BB gzip -9 | $BB wc -c; }
# an interpreter, with floating point
awkloop() { $BB awk -v n=$((300000 * N)) 'BEGIN { for (i = 1; i <= n; i++) s = (s * 31 + i) % 65521; print s }'; }
sortmd5() { $BB seq 1 $((100000 * N)) | $BB sort -r | $BB md5sum | $BB cut -c1-16; }
# processes
forkexec() { i=0; while [ $i -lt $((300 * N)) ]; do $BB true; i=$((i + 1)); done; echo $i; }
# the shell alone
shloop() {
    i=0; s=0
    while [ $i -lt $((100000 * N)) ]; do s=$(((s * 7 + i) % 10007)); i=$((i + 1)); done
    echo $s
}
# system calls and the page cache
ddsmall() {
    $BB dd if=/dev/zero of="$WORK/ddsmall" bs=512 count=$((40000 * N)) 2>/dev/null
    $BB wc -c <"$WORK/ddsmall"
    $BB rm -f "$WORK/ddsmall"
}
# folders
findtree() {
    i=0
    while [ $i -lt $((40 * N)) ]; do
        $BB mkdir -p "$WORK/tree/$i"
        for j in 0 1 2 3 4 5 6 7 8 9; do : >"$WORK/tree/$i/$j"; done
        i=$((i + 1))
    done
    i=0
    while [ $i -lt 20 ]; do $BB find "$WORK/tree"; i=$((i + 1)); done | $BB wc -l
    $BB rm -rf "$WORK/tree"
}

for work in sha256 gzip9 gziptext awkloop sortmd5 forkexec shloop ddsmall findtree; do
    measure $work
done
echo HALT
