//! Holds the workspace to the architecture: see `docs/ARCHITECTURE.md`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use arch::{
    ARROWS, IMPURE_DEPENDENCIES, LONG_FILES, MAX_DEPTH, MAX_FILE_LINES, PLATFORM, PURE, RESERVED,
    UNSAFE,
};
use serde_json::Value;

struct Package {
    name: String,
    folder: PathBuf,
    dependencies: Vec<String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn packages() -> Vec<Package> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap().iter().map(|package| {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let normal = |dependency: &&Value| dependency["kind"].is_null();
        Package {
            name: text(&package["name"]),
            folder: Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap().into(),
            dependencies: package["dependencies"]
                .as_array()
                .unwrap()
                .iter()
                .filter(normal)
                .map(|dependency| text(&dependency["name"]))
                .collect(),
        }
    });
    packages.collect()
}

fn own<'a>(package: &'a Package, all: &'a [Package]) -> impl Iterator<Item = &'a str> {
    package
        .dependencies
        .iter()
        .map(String::as_str)
        .filter(|dependency| all.iter().any(|other| other.name == *dependency))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn every_arrow_is_in_the_table_and_points_down() {
    let packages = packages();
    let position = |name: &str| ARROWS.iter().position(|(crate_name, _)| *crate_name == name);
    for package in &packages {
        let here = position(&package.name)
            .unwrap_or_else(|| panic!("{} is not in the table of arrows", package.name));
        for dependency in own(package, &packages) {
            assert!(
                ARROWS[here].1.contains(&dependency),
                "{} -> {dependency} is not in the table of arrows",
                package.name
            );
            assert!(
                position(dependency) < Some(here),
                "{} -> {dependency} points up",
                package.name
            );
        }
    }
}

#[test]
fn the_table_of_arrows_names_nothing_that_is_gone() {
    let packages = packages();
    for (name, allowed) in ARROWS {
        let package = packages
            .iter()
            .find(|package| package.name == *name)
            .unwrap_or_else(|| panic!("{name} is in the table and not in the workspace"));
        for dependency in *allowed {
            assert!(
                own(package, &packages).any(|present| present == *dependency),
                "{name} -> {dependency} is in the table and not in the manifest"
            );
        }
    }
}

#[test]
fn chains_of_arrows_are_short() {
    let packages = packages();
    let mut depths: BTreeMap<&str, usize> = BTreeMap::new();
    for (name, _) in ARROWS {
        let package = packages.iter().find(|package| package.name == *name).unwrap();
        let depth = own(package, &packages).map(|below| depths[below] + 1).max().unwrap_or(0);
        assert!(depth <= MAX_DEPTH, "{name} stands {depth} arrows above the lowest crate");
        depths.insert(name, depth);
    }
}

#[test]
fn pure_crates_stay_pure() {
    for package in packages().iter().filter(|package| PURE.contains(&package.name.as_str())) {
        for dependency in &package.dependencies {
            assert!(
                !IMPURE_DEPENDENCIES.contains(&dependency.as_str()),
                "{} is pure and names {dependency}",
                package.name
            );
        }
        for file in rust_files(&package.folder.join("src")) {
            let text = fs::read_to_string(&file).unwrap();
            for banned in ["SystemTime::now", "Instant::now", "std::fs", "std::net::UdpSocket"] {
                let production = text.split("#[cfg(test)]").next().unwrap_or_default();
                let is_test = file.file_name().is_some_and(|name| name == "tests.rs");
                assert!(
                    is_test || !production.contains(banned),
                    "{} uses {banned}",
                    file.display()
                );
            }
        }
    }
}

#[test]
fn reserved_dependencies_stay_where_they_belong() {
    for package in packages() {
        for (external, users) in RESERVED {
            let names = package.dependencies.iter().any(|dependency| dependency == external);
            assert!(
                !names || users.contains(&package.name.as_str()),
                "{} names {external}",
                package.name
            );
        }
    }
}

#[test]
fn unsafe_code_and_platforms_stay_at_the_boundary() {
    for package in packages() {
        for file in rust_files(&package.folder) {
            if file.starts_with(root().join("tests/arch")) {
                continue;
            }
            let text = fs::read_to_string(&file).unwrap();
            let may = |list: &[&str]| list.contains(&package.name.as_str());
            let lifts = text.contains("allow(unsafe_code") || text.contains("expect(unsafe_code");
            assert!(!lifts || may(UNSAFE), "{} allows unsafe code", file.display());
            let platform = text.contains("target_os") || text.contains("cfg(windows)");
            assert!(!platform || may(PLATFORM), "{} asks for the platform", file.display());
        }
    }
}

#[test]
fn folders_are_named_like_their_crates_and_modules_like_their_files() {
    for package in packages() {
        assert_eq!(package.folder.file_name().unwrap(), package.name.as_str());
        for file in rust_files(&package.folder) {
            assert!(file.file_name().unwrap() != "mod.rs", "{}", file.display());
        }
    }
}

#[test]
fn files_are_short() {
    let root = root();
    for package in packages() {
        for file in rust_files(&package.folder) {
            let name = file.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            let generated = name.contains("/generated/");
            let excused = LONG_FILES.iter().any(|(path, _)| *path == name);
            let lines = fs::read_to_string(&file).unwrap().lines().count();
            assert!(
                generated || excused || lines <= MAX_FILE_LINES,
                "{name} has {lines} lines: what would a reader search for in it?"
            );
        }
    }
}

#[test]
fn every_crate_takes_the_workspace_lints() {
    for package in packages() {
        let manifest = fs::read_to_string(package.folder.join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true"), "{}", package.name);
    }
}

#[test]
fn the_root_holds_what_it_should_and_nothing_else() {
    let allowed = [
        "Cargo.toml",
        "Cargo.lock",
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "crates",
        "proto",
        "deploy",
        "tests",
        "docs",
        "target",
    ];
    for entry in fs::read_dir(root()).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        assert!(name.starts_with('.') || allowed.contains(&name.as_str()), "{name} in the root");
    }
}
