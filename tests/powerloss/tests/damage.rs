//! Bits flip and files are cut while the store is closed: what is read is right, or somebody says that
//! it is not.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use busyhour_store::Telemetry as _;
use fastrand::Rng;
use powerloss::disk::Honesty;
use powerloss::expected::Contents;
use powerloss::law::take;
use powerloss::load::{SMALL, small_block, steps_to_full_files};
use powerloss::{findings, open, scratch, setting, watch};
use tempfile::TempDir;

/// Damages of each kind in an ordinary run, picked at random; `.ci/long` does all.
const DAMAGES: usize = 40;
/// Bytes of the header of a file.
const FILE_HEADER: usize = 100;
/// Bytes of the header of a page.
const PAGE_HEADER: usize = 12;

/// A store of some days, closed.
struct Store {
    folder: TempDir,
    /// Within the folder, with the size of a page.
    files: Vec<(PathBuf, usize)>,
    holds: Contents,
}

impl Store {
    fn make() -> Self {
        let folder = scratch();
        let _disk = watch(folder.path(), Honesty::Honest);
        let holds = take(&steps_to_full_files(11), folder.path());
        assert!(holds.windows() > 1_000, "there is something to damage");
        let mut files = Vec::new();
        find_databases(folder.path(), folder.path(), &mut files);
        let folders: BTreeSet<_> = files.iter().map(|(file, _)| file.parent().unwrap()).collect();
        assert!(folders.len() >= 7, "there are files of every kind: {folders:?}");
        Self { folder, files, holds }
    }

    /// A copy with a file changed.
    fn damaged(&self, file: &Path, damage: &Damage) -> TempDir {
        let copy = scratch();
        copy_folder(self.folder.path(), copy.path());
        let file = copy.path().join(file);
        let mut bytes = fs::read(&file).unwrap();
        match *damage {
            Damage::Flip { byte, bit } => bytes[byte] ^= 1 << bit,
            Damage::Cut { size } => bytes.truncate(size),
        }
        fs::write(&file, bytes).unwrap();
        copy
    }
}

fn find_databases(root: &Path, folder: &Path, found: &mut Vec<(PathBuf, usize)>) {
    let mut entries: Vec<_> =
        fs::read_dir(folder).unwrap().map(|one| one.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            find_databases(root, &path, found);
        } else if path.extension().is_some_and(|extension| extension == "db") {
            let header: [u8; FILE_HEADER] =
                fs::read(&path).unwrap()[..FILE_HEADER].try_into().unwrap();
            let page = usize::from(u16::from_be_bytes([header[16], header[17]]));
            found.push((path.strip_prefix(root).unwrap().to_owned(), page.max(512)));
        }
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Damage {
    Flip { byte: usize, bit: u8 },
    Cut { size: usize },
}

/// Who tells of a damage first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    /// Opening is refused.
    Open,
    /// Reading fails, or a file is set aside.
    Read,
    /// The check tells, and what is read is right all the same.
    Check,
    /// The check alone tells, and what is read is wrong.
    CheckAlone,
    /// Nobody tells: all is read as it was, and nothing is wrong.
    Harmless,
    /// Nobody tells, and what is read is wrong.
    Silent,
}

fn look(folder: &Path, holds: &Contents) -> (Told, String) {
    let _disk = watch(folder, Honesty::Honest);
    let is_sound = findings(folder).is_empty();
    let (telemetry, control) = match open(folder) {
        Ok(store) => store,
        Err(error) => return (Told::Open, error.to_string()),
    };
    let found = Contents::of(&telemetry, &control);
    // Nothing is asked of writing but that it comes to an end.
    let _ = telemetry.append(&[small_block(SMALL[0], 1_000)]);
    match found.map(|found| found.differs(holds)) {
        Err(error) => (Told::Read, error.to_string()),
        Ok(_) if !telemetry.damaged().is_empty() => (Told::Read, "set aside".to_owned()),
        Ok(None) if is_sound => (Told::Harmless, String::new()),
        Ok(None) => (Told::Check, String::new()),
        Ok(Some(difference)) if is_sound => (Told::Silent, difference),
        Ok(Some(difference)) => (Told::CheckAlone, difference),
    }
}

/// All of them, or so many at random.
fn some<T>(mut all: Vec<T>) -> Vec<T> {
    if std::env::var_os("BUSYHOUR_ALL_DAMAGES").is_none() {
        Rng::with_seed(setting("BUSYHOUR_SEED", 1)).shuffle(&mut all);
        all.truncate(DAMAGES);
    }
    all
}

/// Does the damage to copies and counts who tells of it.
fn damage_all(store: &Store, what: &str, damages: Vec<(&Path, Damage)>) {
    let mut counts: BTreeMap<Told, u32> = BTreeMap::new();
    let mut silent = Vec::new();
    let all = damages.len();
    let damages = some(damages);
    let tried = damages.len();
    for (file, damage) in damages {
        let copy = store.damaged(file, &damage);
        let (told, said) = look(copy.path(), &store.holds);
        *counts.entry(told).or_default() += 1;
        match told {
            Told::Silent => silent.push((file, damage, said)),
            Told::CheckAlone => println!("{file:?}, {damage:?}: {said:.200}"),
            Told::Open | Told::Read | Told::Check | Told::Harmless => {}
        }
    }
    let files = store.files.len();
    println!("{what} of {files} files: {tried} of {all} tried: {counts:?}");
    assert!(silent.is_empty(), "{} are silent, the first: {:?}", silent.len(), silent.first());
}

/// One bit in each of these bytes of every page.
fn flips(
    store: &Store,
    of_page: impl Fn(usize, usize, &mut Rng) -> Range<usize>,
) -> Vec<(&Path, Damage)> {
    let mut random = Rng::with_seed(3);
    let mut all = Vec::new();
    for (file, page) in &store.files {
        let size = fs::metadata(store.folder.path().join(file)).unwrap().len();
        for number in 0..usize::try_from(size).unwrap() / page {
            for byte in of_page(number, *page, &mut random) {
                let (byte, bit) = (number * page + byte, random.u8(..8));
                all.push((file.as_path(), Damage::Flip { byte, bit }));
            }
        }
    }
    all
}

#[test]
fn an_undamaged_store_is_harmless() {
    let store = Store::make();
    let copy = scratch();
    copy_folder(store.folder.path(), copy.path());
    assert_eq!(look(copy.path(), &store.holds), (Told::Harmless, String::new()));
}

#[test]
fn a_flipped_bit_anywhere_in_a_page_is_told_or_harmless() {
    let store = Store::make();
    let damages = flips(&store, |_, page, random| {
        let byte = random.usize(..page);
        byte..byte + 1
    });
    damage_all(&store, "a bit of each page", damages);
}

#[test]
fn a_flipped_bit_in_the_header_of_a_page_is_told_or_harmless() {
    let store = Store::make();
    let damages = flips(&store, |number, _, _| {
        let begin = if number == 0 { FILE_HEADER } else { 0 };
        begin..begin + PAGE_HEADER
    });
    damage_all(&store, "a bit of each byte of the headers of pages", damages);
}

#[test]
fn a_flipped_bit_in_the_header_of_a_file_is_told_or_harmless() {
    let store = Store::make();
    let damages = flips(&store, |number, _, _| if number == 0 { 0..FILE_HEADER } else { 0..0 });
    damage_all(&store, "a bit of each byte of the headers of files", damages);
}

#[test]
fn a_file_that_was_cut_at_a_page_is_told() {
    let store = Store::make();
    let cut = |(file, page): &'_ (PathBuf, usize)| {
        let pages = fs::metadata(store.folder.path().join(file)).unwrap().len() / *page as u64;
        (0..usize::try_from(pages).unwrap()).map(|pages| pages * page).collect::<Vec<_>>()
    };
    let damages = store.files.iter().flat_map(|file| {
        cut(file).into_iter().map(|size| (file.0.as_path(), Damage::Cut { size }))
    });
    damage_all(&store, "cut at each page", damages.collect());
}
