//! The authority's files: made at the first start, or a company's own.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use rcgen::{KeyPair, PublicKeyData as _};
use rustls::pki_types::CertificateDer;
use thiserror::Error;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

/// The one file that has all of it, below the data directory. One, so that it changes as a whole.
const FILE: &str = "authority.pem";
const MAX_FILE_BYTES: u64 = 256 * 1024;

/// A company's own authority, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompanyAuthority {
    /// The issuing certificate, then those up to its root, if any.
    pub certificate: PathBuf,
    /// The issuing certificate's key (PKCS #8).
    pub key: PathBuf,
}

/// Why the authority's files cannot be used.
#[derive(Debug, Error)]
pub enum BundleError {
    /// It cannot be read or written.
    #[error("use the authority's file {file:?}")]
    File {
        /// The file.
        file: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Others than its owner may read the key.
    #[error("the key in {0:?} may be read by others; its mode must be 0600")]
    Open(PathBuf),
    /// Something in it is not what it should be.
    #[error("{file:?}: {what}")]
    Content {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
}

/// A key and its certificate first, then others: those that signed it, and those that are still trusted.
pub(crate) struct Bundle {
    pub(crate) key: KeyPair,
    pub(crate) certificates: Vec<CertificateDer<'static>>,
}

impl Bundle {
    /// Reads the collector's own from below `folder`; `None` when it was not made yet.
    pub(crate) fn read_own(folder: &Path) -> Result<Option<Self>, BundleError> {
        let file = folder.join(FILE);
        if !file.exists() {
            return Ok(None);
        }
        refuse_open(&file)?;
        let text = read(&file)?;
        Self::parse(&file, &file, &text, &text).map(Some)
    }

    pub(crate) fn read_company(company: &CompanyAuthority) -> Result<Self, BundleError> {
        refuse_open(&company.key)?;
        let (key, certificates) = (read(&company.key)?, read(&company.certificate)?);
        Self::parse(&company.key, &company.certificate, &key, &certificates)
    }

    fn parse(
        key_file: &Path,
        certificate_file: &Path,
        key: &str,
        certificates: &str,
    ) -> Result<Self, BundleError> {
        let wrong = |file: &Path, what| BundleError::Content { file: file.to_owned(), what };
        let sections =
            |file: &Path, text| pem::parse_many(text).map_err(|_| wrong(file, "it is not in PEM"));
        let key = sections(key_file, key)?
            .into_iter()
            .find(|section| section.tag() == "PRIVATE KEY")
            .ok_or_else(|| wrong(key_file, "there is no PRIVATE KEY (PKCS #8) in it"))?;
        let key = KeyPair::try_from(key.contents())
            .map_err(|_| wrong(key_file, "its key is of no kind that is known"))?;
        let certificates: Vec<CertificateDer<'static>> = sections(certificate_file, certificates)?
            .into_iter()
            .filter(|section| section.tag() == "CERTIFICATE")
            .map(|section| CertificateDer::from(section.into_contents()))
            .collect();
        for (number, der) in certificates.iter().enumerate() {
            let (_, parsed) = X509Certificate::from_der(der)
                .map_err(|_| wrong(certificate_file, "a certificate in it cannot be read"))?;
            if !parsed.is_ca() {
                return Err(wrong(certificate_file, "a certificate in it is no authority's"));
            }
            if number == 0 && *parsed.public_key().subject_public_key.data != *key.der_bytes() {
                return Err(wrong(certificate_file, "its first certificate is of another key"));
            }
        }
        if certificates.is_empty() {
            return Err(wrong(certificate_file, "there is no CERTIFICATE in it"));
        }
        Ok(Self { key, certificates })
    }

    /// Writes it below `folder`, in place of what is there, all of it or nothing.
    pub(crate) fn write_own(&self, folder: &Path) -> Result<(), BundleError> {
        let file = folder.join(FILE);
        let refused = |source| BundleError::File { file: file.clone(), source };
        let key = pem::Pem::new("PRIVATE KEY", self.key.serialize_der());
        let certificates =
            self.certificates.iter().map(|der| pem::Pem::new("CERTIFICATE", der.to_vec()));
        let sections: Vec<_> = std::iter::once(key).chain(certificates).collect();
        make_private_folder(folder).map_err(refused)?;
        let fresh = folder.join("authority.new");
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(refused(error)),
            Ok(()) | Err(_) => {}
        }
        let mut open = create_private(&fresh).map_err(refused)?;
        open.write_all(pem::encode_many(&sections).as_bytes()).map_err(refused)?;
        open.sync_all().map_err(refused)?;
        drop(open);
        fs::rename(&fresh, &file).map_err(refused)?;
        sync_folder(folder).map_err(refused)
    }
}

fn read(file: &Path) -> Result<String, BundleError> {
    use io::Read as _;
    let refused = |source| BundleError::File { file: file.to_owned(), source };
    let open = fs::File::open(file).map_err(refused)?;
    let mut text = String::new();
    open.take(MAX_FILE_BYTES).read_to_string(&mut text).map_err(refused)?;
    Ok(text)
}

#[cfg(unix)]
fn refuse_open(file: &Path) -> Result<(), BundleError> {
    use std::os::unix::fs::PermissionsExt as _;
    let found =
        fs::metadata(file).map_err(|source| BundleError::File { file: file.to_owned(), source })?;
    if found.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    Err(BundleError::Open(file.to_owned()))
}

#[cfg(not(unix))]
fn refuse_open(_: &Path) -> Result<(), BundleError> {
    Ok(())
}

#[cfg(unix)]
fn create_private(file: &Path) -> io::Result<fs::File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)
}

#[cfg(not(unix))]
fn create_private(file: &Path) -> io::Result<fs::File> {
    fs::File::create_new(file)
}

#[cfg(unix)]
fn make_private_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn make_private_folder(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
