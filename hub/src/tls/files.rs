//! PEM files: read with a bound, written whole or not at all, keys for the owner's eyes only.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::error::TlsError;

/// A file that anybody may read.
pub(super) const PUBLIC: u32 = 0o644;
/// A file for the owner alone.
pub(super) const SECRET: u32 = 0o600;
/// A folder for the owner alone.
const SECRET_FOLDER: u32 = 0o700;

/// The largest PEM file that is read: far above any chain, or a system's whole bundle of authorities.
const PEM_BYTES_MAX: u64 = 4 << 20;

/// The certificates of a PEM file, in its order; at least one.
pub(super) fn read_certificates(
    what: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read_bounded(what, path)?;
    let wrong = |found| TlsError::WrongPem {
        what,
        path: path.to_owned(),
        found,
        expected: "-----BEGIN CERTIFICATE-----",
    };
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|_| wrong("broken PEM text"))?;
    if certificates.is_empty() {
        return Err(wrong(what_is_it(&pem)));
    }
    Ok(certificates)
}

/// The first private key of a PEM file.
pub(super) fn read_key(
    what: &'static str,
    path: &Path,
) -> Result<PrivateKeyDer<'static>, TlsError> {
    let pem = read_bounded(what, path)?;
    if holds(&pem, "ENCRYPTED") {
        return Err(TlsError::EncryptedKey {
            path: path.to_owned(),
        });
    }
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| TlsError::WrongPem {
        what,
        path: path.to_owned(),
        found: what_is_it(&pem),
        expected: "-----BEGIN PRIVATE KEY-----",
    })
}

/// Writes a file so that at every moment either the old content or the new one is there, also after a power cut.
pub(super) fn write_atomically(path: &Path, content: &[u8], mode: u32) -> Result<(), TlsError> {
    let failed = |cause| TlsError::unwritable(path, cause);
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let temporary = folder.join(name);
    let written = (|| {
        // What a killed process with the same number left must not lend us its permissions.
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&temporary)?;
        // The process's umask may have taken bits from `mode`.
        file.set_permissions(Permissions::from_mode(mode))?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(folder)?.sync_all()
    })();
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written.map_err(failed)
}

/// Makes a folder, and those above it, that only the owner may enter; an existing one is closed to others.
pub(super) fn secret_folder(path: &Path) -> Result<(), TlsError> {
    let made = DirBuilder::new()
        .recursive(true)
        .mode(SECRET_FOLDER)
        .create(path)
        .and_then(|()| {
            let permissions = fs::metadata(path)?.permissions();
            if permissions.mode() & 0o077 == 0 {
                return Ok(());
            }
            fs::set_permissions(path, Permissions::from_mode(SECRET_FOLDER))
        });
    made.map_err(|cause| TlsError::unwritable(path, cause))
}

fn read_bounded(what: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    let read = || {
        let mut content = Vec::new();
        File::open(path)?
            .take(PEM_BYTES_MAX + 1)
            .read_to_end(&mut content)?;
        Ok(content)
    };
    let content = read().map_err(|cause| TlsError::unreadable(what, path, cause))?;
    if content.len() as u64 > PEM_BYTES_MAX {
        return Err(TlsError::unusable(what, path, "it is larger than 4 MiB"));
    }
    Ok(content)
}

/// What a file without the wanted PEM block seems to hold.
fn what_is_it(content: &[u8]) -> &'static str {
    if content.trim_ascii().is_empty() {
        "nothing"
    } else if holds(content, "PRIVATE KEY-----") {
        "a private key"
    } else if holds(content, "-----BEGIN CERTIFICATE-----") {
        "a certificate"
    } else if holds(content, "-----BEGIN ") {
        "another kind of PEM block"
    } else if content.first() == Some(&0x30) {
        "binary data (DER, perhaps)"
    } else {
        "no PEM block"
    }
}

fn holds(content: &[u8], words: &str) -> bool {
    content
        .windows(words.len())
        .any(|window| window == words.as_bytes())
}
