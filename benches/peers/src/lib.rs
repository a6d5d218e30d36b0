//! A wall clock that a benchmark sets, for libraries that read it and take no time as an argument.

use std::{
    ffi::{c_int, c_long},
    sync::atomic::{AtomicI64, Ordering},
};

/// Unix seconds; 0 while the clock is that of the system.
static STOPPED_AT: AtomicI64 = AtomicI64::new(0);

/// From now on the wall clock of this process says `seconds` since the Unix epoch.
///
/// Other clocks go on as they are, so that a benchmark measures what passes.
pub fn stop_wall_clock_at(seconds: u64) {
    STOPPED_AT.store(i64::try_from(seconds).unwrap_or(i64::MAX), Ordering::Relaxed);
}

/// In the place of the C library's: the linker prefers the definition in the executable.
///
/// # Safety
/// As `clock_gettime(3)`: `time` points to a `timespec` that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> c_int {
    let stopped = STOPPED_AT.load(Ordering::Relaxed);
    if clock == libc::CLOCK_REALTIME && stopped != 0 {
        // SAFETY: the caller's promise.
        unsafe { time.write(libc::timespec { tv_sec: stopped, tv_nsec: 0 }) };
        return 0;
    }
    // SAFETY: the system call behind clock_gettime(3), with the caller's arguments.
    let result: c_long = unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) };
    c_int::try_from(result).unwrap_or(-1)
}
