//! The file system that SQLite sees: operations go on to the operating system's, and to the [`Disk`]
//! that the file lies on.

#![expect(unsafe_code, reason = "a virtual file system of SQLite is a table of C functions")]

use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use rusqlite::ffi;

use crate::disk::{Disk, FileNo, Honesty};

/// Disks in use.
static DISKS: Mutex<Vec<Weak<Disk>>> = Mutex::new(Vec::new());
static REAL: OnceLock<Real> = OnceLock::new();

/// The operating system's file system, as SQLite knows it.
struct Real(*mut ffi::sqlite3_vfs);

// SAFETY: SQLite never changes or frees a registered file system, and calls it from any thread.
unsafe impl Send for Real {}
// SAFETY: as above.
unsafe impl Sync for Real {}

/// Makes everything that SQLite keeps in `folder` lie on a disk that can lose power, as long as the
/// disk is held. The folder is on an honest disk up to now. Nothing is really synced.
///
/// # Panics
/// When SQLite has no file system, or the folder cannot be found.
#[must_use]
pub fn watch(folder: &Path, honesty: Honesty) -> Arc<Disk> {
    REAL.get_or_init(register);
    crate::past::listen();
    let root = folder.canonicalize().expect("the folder is there");
    let disk = Arc::new(Disk::new(root, honesty));
    let mut disks = DISKS.lock().unwrap_or_else(PoisonError::into_inner);
    disks.retain(|disk| disk.strong_count() > 0);
    disks.push(Arc::downgrade(&disk));
    disk
}

pub(crate) fn disk_of(path: &Path) -> Option<Arc<Disk>> {
    let disks = DISKS.lock().unwrap_or_else(PoisonError::into_inner);
    disks.iter().filter_map(Weak::upgrade).find(|disk| path.starts_with(disk.root()))
}

/// An open file as SQLite holds it; the operating system's lies right behind it.
#[repr(C)]
struct OpenFile {
    base: ffi::sqlite3_file,
    /// Of [`Box::into_raw`]; null when the file lies on no disk of ours.
    watched: *mut Watched,
}

struct Watched {
    disk: Arc<Disk>,
    file: FileNo,
    /// A write-ahead log.
    is_log: bool,
    /// The folder that is synced with the first sync, as SQLite does for new journals and logs.
    folder: Option<PathBuf>,
}

fn register() -> Real {
    // SAFETY: a null name asks for the default; the copy lives for ever, as registering demands, and
    // its own functions are called with the structures they expect.
    unsafe {
        let real = ffi::sqlite3_vfs_find(std::ptr::null());
        assert!(!real.is_null(), "SQLite has a file system");
        let size = size_of::<OpenFile>() + usize::try_from((*real).szOsFile).expect("a size");
        let ours = Box::leak(Box::new(ffi::sqlite3_vfs {
            szOsFile: c_int::try_from(size).expect("a small size"),
            pNext: std::ptr::null_mut(),
            zName: c"powerloss".as_ptr(),
            xOpen: Some(open),
            xDelete: Some(delete),
            xAccess: Some(access),
            ..*real
        }));
        assert_eq!(ffi::sqlite3_vfs_register(ours, 1), ffi::SQLITE_OK, "it can be registered");
        Real(real)
    }
}

fn real_vfs() -> *mut ffi::sqlite3_vfs {
    REAL.get().expect("registered before it is called").0
}

/// The path that SQLite hands over; `None` for a temporary file.
///
/// # Safety
/// `name` is null or ends with a zero.
unsafe fn path_of<'a>(name: *const c_char) -> Option<&'a Path> {
    if name.is_null() {
        return None;
    }
    // SAFETY: the caller's word.
    let name = unsafe { CStr::from_ptr(name) };
    Some(Path::new(OsStr::from_bytes(name.to_bytes())))
}

unsafe extern "C" fn open(
    _vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite hands over szOsFile bytes, of which the first are ours and the rest the operating
    // system's; names end with a zero.
    unsafe {
        let ours = file.cast::<OpenFile>();
        (*ours).base.pMethods = std::ptr::null();
        (*ours).watched = std::ptr::null_mut();
        let path = path_of(name);
        let disk = path.and_then(disk_of);
        if disk.as_ref().is_some_and(|disk| disk.is_dead()) {
            return ffi::SQLITE_CANTOPEN;
        }
        let existed = path.is_some_and(Path::exists);
        let real = real_file(file);
        let xopen = (*real_vfs()).xOpen.expect("required");
        let answer = xopen(real_vfs(), name, real, flags, out_flags);
        if answer != ffi::SQLITE_OK {
            if let Some(methods) = (*real).pMethods.as_ref() {
                methods.xClose.expect("required")(real);
            }
            return answer;
        }
        if let (Some(path), Some(disk)) = (path, disk)
            && let Some(number) = disk.opened(path, existed)
        {
            let is = |kind| flags & kind != 0;
            let is_log = is(ffi::SQLITE_OPEN_WAL);
            let is_journal = is_log || is(ffi::SQLITE_OPEN_MAIN_JOURNAL);
            let syncs_folder = is_journal && is(ffi::SQLITE_OPEN_CREATE);
            let folder = path.parent().filter(|_| syncs_folder).map(Path::to_owned);
            let watched = Watched { disk, file: number, is_log, folder };
            (*ours).watched = Box::into_raw(Box::new(watched));
        }
        (*ours).base.pMethods = &raw const METHODS;
        answer
    }
}

unsafe extern "C" fn delete(
    _vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    sync_folder: c_int,
) -> c_int {
    // SAFETY: SQLite's names end with a zero; the operating system's function gets its own table.
    unsafe {
        let delete = |sync| (*real_vfs()).xDelete.expect("required")(real_vfs(), name, sync);
        let Some(path) = path_of(name) else { return delete(sync_folder) };
        let Some(disk) = disk_of(path) else { return delete(sync_folder) };
        let folder = path.parent().filter(|_| sync_folder != 0);
        let delete = || crate::past::unheard(|| delete(0));
        disk.delete(path, folder, delete).unwrap_or(ffi::SQLITE_IOERR_DELETE)
    }
}

unsafe extern "C" fn access(
    _vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: as in `delete`.
    unsafe {
        if path_of(name).and_then(disk_of).is_some_and(|disk| disk.is_dead()) {
            return ffi::SQLITE_IOERR_ACCESS;
        }
        (*real_vfs()).xAccess.expect("required")(real_vfs(), name, flags, out)
    }
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    // Without memory mapping, which would write past us.
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// The operating system's part of an open file.
///
/// # Safety
/// `file` is one that [`open`] was given.
unsafe fn real_file(file: *mut ffi::sqlite3_file) -> *mut ffi::sqlite3_file {
    // SAFETY: it lies right behind ours, in the same allocation; ours keeps its alignment.
    unsafe { file.cast::<OpenFile>().add(1).cast::<ffi::sqlite3_file>() }
}

/// Where an open file lies, if on a disk of ours.
///
/// # Safety
/// `file` is open.
unsafe fn watched<'a>(file: *mut ffi::sqlite3_file) -> Option<&'a mut Watched> {
    // SAFETY: SQLite uses an open file from one thread at a time.
    unsafe { (*file.cast::<OpenFile>()).watched.as_mut() }
}

/// # Safety
/// `file` is open.
unsafe fn is_dead(file: *mut ffi::sqlite3_file) -> bool {
    // SAFETY: the caller's word.
    unsafe { watched(file) }.is_some_and(|watched| watched.disk.is_dead())
}

/// Calls a function of the operating system's part.
macro_rules! real {
    ($file:expr, $method:ident $(, $argument:expr)*) => {{
        // SAFETY: an open file has its operating system's part open too, which gets what SQLite
        // handed over.
        unsafe {
            let real = real_file($file);
            (*(*real).pMethods).$method.expect("the system has it")(real $(, $argument)*)
        }
    }};
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    let answer = real!(file, xClose);
    // SAFETY: made by `open`, taken once.
    unsafe {
        let ours = file.cast::<OpenFile>();
        if !(*ours).watched.is_null() {
            drop(Box::from_raw((*ours).watched));
        }
        (*ours).watched = std::ptr::null_mut();
    }
    answer
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    into: *mut c_void,
    amount: c_int,
    offset: i64,
) -> c_int {
    // SAFETY: SQLite reads from open files only.
    if unsafe { is_dead(file) } {
        return ffi::SQLITE_IOERR_READ;
    }
    real!(file, xRead, into, amount, offset)
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    from: *const c_void,
    amount: c_int,
    offset: i64,
) -> c_int {
    let write = || real!(file, xWrite, from, amount, offset);
    // SAFETY: SQLite writes `amount` bytes to open files only.
    let Some((watched, bytes)) = (unsafe {
        let size = usize::try_from(amount).expect("not negative");
        watched(file).map(|on| (on, std::slice::from_raw_parts(from.cast::<u8>(), size)))
    }) else {
        return write();
    };
    let offset = usize::try_from(offset).expect("not negative");
    watched.disk.write(watched.file, offset, bytes, write).unwrap_or(ffi::SQLITE_IOERR_WRITE)
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: i64) -> c_int {
    let truncate = || real!(file, xTruncate, size);
    // SAFETY: SQLite cuts open files only.
    let Some(watched) = (unsafe { watched(file) }) else { return truncate() };
    let size = usize::try_from(size).expect("not negative");
    watched.disk.truncate(watched.file, size, truncate).unwrap_or(ffi::SQLITE_IOERR_TRUNCATE)
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: SQLite syncs open files only.
    let Some(watched) = (unsafe { watched(file) }) else { return real!(file, xSync, flags) };
    let folder = watched.folder.take();
    match watched.disk.sync(watched.file, watched.is_log, folder.as_deref()) {
        Some(()) => ffi::SQLITE_OK,
        None => ffi::SQLITE_IOERR_FSYNC,
    }
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, size: *mut i64) -> c_int {
    // SAFETY: SQLite asks open files only.
    if unsafe { is_dead(file) } {
        return ffi::SQLITE_IOERR_FSTAT;
    }
    real!(file, xFileSize, size)
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, kind: c_int) -> c_int {
    real!(file, xLock, kind)
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, kind: c_int) -> c_int {
    real!(file, xUnlock, kind)
}

unsafe extern "C" fn check_reserved_lock(file: *mut ffi::sqlite3_file, out: *mut c_int) -> c_int {
    real!(file, xCheckReservedLock, out)
}

unsafe extern "C" fn file_control(
    file: *mut ffi::sqlite3_file,
    control: c_int,
    argument: *mut c_void,
) -> c_int {
    real!(file, xFileControl, control, argument)
}

unsafe extern "C" fn sector_size(file: *mut ffi::sqlite3_file) -> c_int {
    real!(file, xSectorSize)
}

unsafe extern "C" fn device_characteristics(file: *mut ffi::sqlite3_file) -> c_int {
    real!(file, xDeviceCharacteristics)
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    region: c_int,
    size: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    real!(file, xShmMap, region, size, extend, out)
}

unsafe extern "C" fn shm_lock(
    file: *mut ffi::sqlite3_file,
    offset: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    real!(file, xShmLock, offset, count, flags)
}

unsafe extern "C" fn shm_barrier(file: *mut ffi::sqlite3_file) {
    real!(file, xShmBarrier);
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, delete: c_int) -> c_int {
    real!(file, xShmUnmap, delete)
}
