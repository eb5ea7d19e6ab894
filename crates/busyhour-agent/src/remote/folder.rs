//! `configuration/` in the data directory: what runs, what is on trial, and what was given up.

use std::io;
use std::path::{Path, PathBuf};

use busyhour_proto::v1;
use prost::Message as _;
use thiserror::Error;

use super::phases::{Act, Outcome, Stored, Trial, Verdict};
use crate::identity::private_file;

const FOLDER: &str = "configuration";
const COMMITTED: &str = "committed";
const TRIAL: &str = "trial";
const VERDICT: &str = "verdict";

/// Bytes in front of every configuration that count the starts of its trial.
const HEAD: usize = 4;

/// A file that cannot be used.
#[derive(Debug, Error)]
#[error("{operation} {path:?}")]
pub(super) struct FolderError {
    operation: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// Where the files lie; every change is durable when it returns, and all of it may block.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    pub(super) fn of(data_dir: &Path) -> Self {
        Self { path: data_dir.join(FOLDER) }
    }

    /// What there is. What cannot be read is as if it were not there: the collector tells it again.
    pub(super) fn read(&self) -> Stored<v1::Configuration> {
        let trial = self.read_one(TRIAL);
        let verdict = self.bytes(VERDICT).and_then(|bytes| verdict(&bytes));
        Stored {
            committed: self.read_one(COMMITTED).map(|(content, _)| content),
            trial: trial.map(|(content, starts)| Trial { content, starts }),
            verdict,
        }
    }

    pub(super) fn apply(&self, act: &Act<v1::Configuration>) -> Result<(), FolderError> {
        match act {
            Act::KeepTrial(trial) => {
                let mut bytes = trial.starts.to_be_bytes().to_vec();
                bytes.extend(trial.content.encode_to_vec());
                self.write(TRIAL, &bytes)
            }
            Act::KeepVerdict(verdict) => self.write(VERDICT, &report(verdict).encode_to_vec()),
            Act::Promote => {
                let (from, to) = (self.path.join(TRIAL), self.path.join(COMMITTED));
                private_file::rename(&from, &to).map_err(failed("rename", &from))
            }
            Act::DropCommitted => self.remove(COMMITTED),
            Act::DropTrial => self.remove(TRIAL),
            Act::DropVerdict => self.remove(VERDICT),
        }
    }

    fn read_one(&self, name: &str) -> Option<(v1::Configuration, u32)> {
        let bytes = self.bytes(name)?;
        let (head, body) = bytes.split_first_chunk::<HEAD>()?;
        let content = v1::Configuration::decode(body).ok()?;
        Some((content, u32::from_be_bytes(*head)))
    }

    fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let path = self.path.join(name);
        private_file::read(&path).unwrap_or_else(|error| {
            tracing::warn!(?path, %error, "a configuration that was kept cannot be read");
            None
        })
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), FolderError> {
        let path = self.path.join(name);
        private_file::make_folder(&self.path)
            .and_then(|()| private_file::write(&path, bytes))
            .map_err(failed("write", &path))
    }

    fn remove(&self, name: &str) -> Result<(), FolderError> {
        let path = self.path.join(name);
        private_file::remove(&path).map_err(failed("remove", &path))
    }
}

fn failed(operation: &'static str, path: &Path) -> impl Fn(io::Error) -> FolderError {
    move |source| FolderError { operation, path: path.to_owned(), source }
}

/// A verdict in the words of the wire.
pub(super) fn report(verdict: &Verdict) -> v1::ConfigurationReport {
    let state = match verdict.outcome {
        Outcome::Refused => v1::ConfigurationState::Refused,
        Outcome::RolledBack => v1::ConfigurationState::RolledBack,
    };
    v1::ConfigurationReport {
        told_revision: verdict.revision,
        told_edition: verdict.edition,
        state: state.into(),
        reason: verdict.reason.clone(),
        ..v1::ConfigurationReport::default()
    }
}

fn verdict(bytes: &[u8]) -> Option<Verdict> {
    let report = v1::ConfigurationReport::decode(bytes).ok()?;
    let outcome = match report.state() {
        v1::ConfigurationState::Refused => Outcome::Refused,
        v1::ConfigurationState::RolledBack => Outcome::RolledBack,
        v1::ConfigurationState::Unspecified
        | v1::ConfigurationState::Committed
        | v1::ConfigurationState::Trial
        | v1::ConfigurationState::Nothing => return None,
    };
    let (revision, edition) = (report.told_revision, report.told_edition);
    Some(Verdict { revision, edition, outcome, reason: report.reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration(edition: u64) -> v1::Configuration {
        v1::Configuration { revision: 7, edition, targets: vec![v1::ConfiguredTarget::default()] }
    }

    #[test]
    fn what_was_kept_is_read_again_and_rubbish_is_as_nothing() {
        let data = tempfile::tempdir().unwrap();
        let folder = Folder::of(data.path());
        assert_eq!(folder.read(), Stored::default());
        let trial = Trial { content: configuration(1), starts: 2 };
        let verdict = Verdict {
            revision: 8,
            edition: u64::MAX,
            outcome: Outcome::Refused,
            reason: "it may not".to_owned(),
        };
        let mut expected = Stored::default();
        let acts = [
            Act::KeepTrial(trial),
            Act::KeepVerdict(verdict),
            Act::Promote,
            Act::KeepTrial(Trial { content: configuration(2), starts: 0 }),
        ];
        for act in acts {
            folder.apply(&act).unwrap();
            expected.apply(act);
            assert_eq!(folder.read(), expected);
        }
        for name in [COMMITTED, TRIAL, VERDICT] {
            for rubbish in [&b""[..], b"abc", &[0xff; 40]] {
                private_file::write(&folder.path.join(name), rubbish).unwrap();
            }
        }
        assert_eq!(folder.read(), Stored::default());
        for act in [Act::DropTrial, Act::DropVerdict, Act::DropVerdict] {
            folder.apply(&act).unwrap();
        }
        assert_eq!(std::fs::read_dir(&folder.path).unwrap().count(), 1);
    }
}
