//! What the program does to files past SQLite: deleting, renaming, syncing folders. The functions of
//! the C library that Rust calls for it are replaced by these, for the whole program; what lies on no
//! disk of ours goes on to the system as ever.

#![expect(unsafe_code, reason = "functions of the C library are replaced")]

use std::cell::Cell;
use std::ffi::{CStr, OsStr, c_char, c_int};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::Disk;
use crate::vfs::disk_of;

thread_local! {
    /// SQLite does it, and told the disk.
    static UNHEARD: Cell<bool> = const { Cell::new(false) };
}

/// Makes sure that these functions are part of the program.
pub(crate) fn listen() {
    let replaced: [*const (); 3] = [unlink as *const (), rename as *const (), fsync as *const ()];
    std::hint::black_box(replaced);
}

/// Does something that the disk knows of already.
pub(crate) fn unheard<T>(act: impl FnOnce() -> T) -> T {
    UNHEARD.set(true);
    let done = act();
    UNHEARD.set(false);
    done
}

/// # Safety
/// `name` ends with a zero.
unsafe fn watched(name: *const c_char) -> Option<(PathBuf, Arc<Disk>)> {
    if UNHEARD.get() {
        return None;
    }
    // SAFETY: the caller's word.
    let name = unsafe { CStr::from_ptr(name) };
    let path = Path::new(OsStr::from_bytes(name.to_bytes()));
    // The disk knows its folder under its own name only.
    let folder = path.parent()?.canonicalize().ok()?;
    let path = folder.join(path.file_name()?);
    let disk = disk_of(&path)?;
    Some((path, disk))
}

fn or_dead(answer: Option<c_int>) -> c_int {
    answer.unwrap_or_else(|| {
        // SAFETY: the calling thread's own.
        unsafe { *libc::__errno_location() = libc::EIO };
        -1
    })
}

/// Replaces unlink(2).
///
/// # Safety
/// As of unlink(2): `name` ends with a zero.
#[unsafe(no_mangle)]
unsafe extern "C" fn unlink(name: *const c_char) -> c_int {
    // SAFETY: the caller's word; the real one does the same.
    unsafe {
        let real = || libc::unlinkat(libc::AT_FDCWD, name, 0);
        let Some((path, disk)) = watched(name) else { return real() };
        or_dead(disk.delete(&path, None, real))
    }
}

/// Replaces rename(2).
///
/// # Safety
/// As of rename(2): both names end with a zero.
#[unsafe(no_mangle)]
unsafe extern "C" fn rename(from: *const c_char, to: *const c_char) -> c_int {
    // SAFETY: the caller's word; the real one does the same.
    unsafe {
        let real = || libc::renameat(libc::AT_FDCWD, from, libc::AT_FDCWD, to);
        let (Some((from, disk)), Some((to, _))) = (watched(from), watched(to)) else {
            return real();
        };
        or_dead(disk.rename(&from, &to, real))
    }
}

/// Replaces fsync(2).
#[unsafe(no_mangle)]
extern "C" fn fsync(file: c_int) -> c_int {
    let path = std::fs::read_link(format!("/proc/self/fd/{file}")).ok();
    if let Some((path, disk)) = path.and_then(|path| disk_of(&path).map(|disk| (path, disk))) {
        return or_dead(disk.sync_at(&path).map(|()| 0));
    }
    // SAFETY: the system checks the number; its answer is 0 or -1.
    unsafe { c_int::try_from(libc::syscall(libc::SYS_fsync, file)).unwrap_or(-1) }
}
