//! Files that only the agent may read: written whole or not at all, and durable before anybody
//! relies on them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// Larger than any identity with a long chain and bundle; a larger file is somebody's mistake.
const MAX_BYTES: u64 = 256 * 1024;

/// Makes a folder that only its owner may look into; its parents as the system makes them.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    match folder_builder().create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Ok(()) => path.parent().map_or(Ok(()), |parent| belong_beside(parent, path)),
        Err(error) => Err(error),
    }
}

/// Writes a file beside its final name, has it durable, and renames it.
pub(crate) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let unfinished = unfinished(path);
    // What a crash left behind may have other permissions.
    remove(&unfinished)?;
    let mut file = create_new(&unfinished)?;
    file.write_all(content)?;
    file.sync_all()?;
    belong_beside(folder, &unfinished)?;
    rename(&unfinished, path)
}

/// Renames a file within its folder, durably.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    to.parent().map_or(Ok(()), sync_folder)
}

/// Removes a file, durably; one that is not there is no error.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Ok(()) => path.parent().map_or(Ok(()), sync_folder),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Reads a file; `None` when there is none.
pub(crate) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    check_permissions(&file)?;
    let mut content = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut content)?;
    if content.len() as u64 > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is too large"));
    }
    Ok(Some(content))
}

fn unfinished(path: &Path) -> PathBuf {
    path.with_extension("part")
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    // Elsewhere a folder cannot be opened, and a rename is durable by itself.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

#[cfg(unix)]
fn folder_builder() -> fs::DirBuilder {
    use std::os::unix::fs::DirBuilderExt as _;

    let mut builder = fs::DirBuilder::new();
    builder.mode(0o700);
    builder
}

#[cfg(not(unix))]
fn folder_builder() -> fs::DirBuilder {
    fs::DirBuilder::new()
}

fn create_new(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;

        options.mode(0o600);
    }
    options.open(path)
}

/// Gives a file to whom its folder belongs: an administrator may enrol a service that runs as
/// somebody else.
#[cfg(unix)]
fn belong_beside(folder: &Path, path: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, chown};

    let (folder, file) = (fs::metadata(folder)?, fs::metadata(path)?);
    if (folder.uid(), folder.gid()) == (file.uid(), file.gid()) {
        return Ok(());
    }
    match chown(path, Some(folder.uid()), Some(folder.gid())) {
        // The group of a folder may be one that its owner is not in; the owner is what matters.
        Err(_) if folder.uid() == file.uid() => Ok(()),
        done => done,
    }
}

#[cfg(not(unix))]
fn belong_beside(_folder: &Path, _path: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn check_permissions(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    let mode = file.metadata()?.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let problem = format!("it has mode {mode:04o}: other users can use it; run chmod 600 on it");
    Err(io::Error::new(io::ErrorKind::PermissionDenied, problem))
}

#[cfg(not(unix))]
fn check_permissions(_file: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn only_the_owner_can_use_what_is_written() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("state/identity");
        make_folder(&folder).unwrap();
        make_folder(&folder).unwrap();
        let file = folder.join("identity.json");
        // As a crash, or somebody, may have left it.
        fs::write(folder.join("identity.part"), "open to all").unwrap();
        write(&file, b"one").unwrap();
        write(&file, b"two").unwrap();
        assert_eq!((mode(&folder), mode(&file)), (0o700, 0o600));
        assert_eq!(read(&file).unwrap().unwrap(), b"two");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        remove(&file).unwrap();
        remove(&file).unwrap();
        assert!(read(&file).unwrap().is_none());
    }

    #[test]
    fn a_file_that_others_can_use_or_that_is_too_large_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("identity.json");
        write(&file, b"x").unwrap();
        for mode in [0o640, 0o604, 0o622] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            let error = read(&file).unwrap_err().to_string();
            assert!(error.contains("chmod 600") && error.contains(&format!("{mode:04o}")));
        }
        write(&file, &vec![b'x'; 256 * 1024 + 1]).unwrap();
        assert!(read(&file).is_err());
    }
}
