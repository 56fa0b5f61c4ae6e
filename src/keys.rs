//! The secrets of this installation: made on the first start, kept in files that only the owner can read.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gateway_core::Secrets;

/// Length of a symmetric key: 256 bits.
const KEY_BYTES: usize = 32;
/// Random bytes behind the operator's password: 120 bits, 20 characters to type.
const PASSWORD_BYTES: usize = 15;

/// The folder of the keys, inside the data folder.
pub(crate) struct KeyFolder {
    keys: PathBuf,
    password: PathBuf,
}

/// The operator's password, and whether it was made just now (then it is shown, once).
pub(crate) struct OperatorPassword {
    pub(crate) text: String,
    pub(crate) is_new: bool,
}

impl KeyFolder {
    /// The keys of the installation in `data_dir`; makes the folder (mode 0700).
    pub(crate) fn open(data_dir: &Path) -> Result<Self> {
        let keys = data_dir.join("keys");
        // The databases beside the keys hold what customers bought: what is made here is made for the owner alone.
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&keys)
            .with_context(|| format!("cannot make the folder {}", keys.display()))?;
        fs::set_permissions(&keys, fs::Permissions::from_mode(0o700))
            .with_context(|| format!("cannot restrict the folder {}", keys.display()))?;
        Ok(Self { keys, password: password_file(data_dir) })
    }

    /// A symmetric key by its name; made if it is not there yet.
    pub(crate) fn symmetric(&self, name: &str) -> Result<Vec<u8>> {
        let key = self.file(name, random::<KEY_BYTES>)?.0;
        if key.len() < KEY_BYTES {
            bail!("{} holds {} bytes; a key has at least {KEY_BYTES}", self.keys.join(name).display(), key.len());
        }
        Ok(key)
    }

    /// A bearer key by its name: the text that two of our own servers show each other.
    pub(crate) fn bearer(&self, name: &str) -> Result<Vec<u8>> {
        let make = || Ok(URL_SAFE_NO_PAD.encode(random::<KEY_BYTES>()?).into_bytes());
        Ok(self.file(name, make)?.0)
    }

    /// What the core has to know and nobody is shown.
    pub(crate) fn of_the_core(&self) -> Result<Secrets> {
        Ok(Secrets {
            customer_key: self.symmetric("customer.key")?,
            webhook_secret: self.symmetric("webhook.key")?,
            processor_key: self.bearer("processor.key")?,
            services_key: self.bearer("services.key")?,
        })
    }

    /// The private key that signs entry tokens (Ed25519, PKCS #8); made if it is not there yet.
    pub(crate) fn entry_signing(&self) -> Result<Vec<u8>> {
        Ok(self.file("entry-ed25519.pk8", || Ok(waiting_room::new_entry_key()))?.0)
    }

    /// The operator's password; made if it is not there yet.
    pub(crate) fn operator_password(&self) -> Result<OperatorPassword> {
        let make = || Ok(URL_SAFE_NO_PAD.encode(random::<PASSWORD_BYTES>()?).into_bytes());
        let (bytes, is_new) = read_or_make(&self.password, make)?;
        Ok(OperatorPassword { text: password_text(&self.password, bytes)?, is_new })
    }

    fn file(&self, name: &str, make: impl FnOnce() -> Result<Vec<u8>>) -> Result<(Vec<u8>, bool)> {
        read_or_make(&self.keys.join(name), make)
    }
}

/// Reads the operator's password of an installation that has been started before.
pub(crate) fn read_operator_password(data_dir: &Path) -> Result<String> {
    let path = password_file(data_dir);
    let bytes = fs::read(&path).with_context(|| {
        format!(
            "cannot read the operator's password in {}; run this where the front door's data folder is, \
             or name it with --data-dir",
            path.display()
        )
    })?;
    password_text(&path, bytes)
}

fn password_file(data_dir: &Path) -> PathBuf {
    data_dir.join("operator-password")
}

fn password_text(path: &Path, bytes: Vec<u8>) -> Result<String> {
    let text = String::from_utf8(bytes).with_context(|| format!("{} is not text", path.display()))?;
    let text = text.trim().to_owned();
    if text.is_empty() {
        bail!("{} is empty; delete it, and the next start makes a new password", path.display());
    }
    Ok(text)
}

fn random<const N: usize>() -> Result<Vec<u8>> {
    let mut bytes = [0_u8; N];
    rand::fill(&mut bytes).context("the operating system gave no random bytes")?;
    Ok(bytes.to_vec())
}

/// Two processes may start at once on one folder: the file is written aside and linked into place, and whoever
/// comes second reads what the first one made.
fn read_or_make(path: &Path, make: impl FnOnce() -> Result<Vec<u8>>) -> Result<(Vec<u8>, bool)> {
    if path.exists() {
        return Ok((read_private(path)?, false));
    }
    let aside = path.with_extension(format!("{}.new", std::process::id()));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&aside)
        .map_err(anyhow::Error::from)
        .and_then(|mut file| Ok(file.write_all(&make()?).and_then(|()| file.sync_all())?));
    written.with_context(|| format!("cannot write {}", aside.display()))?;
    let linked = fs::hard_link(&aside, path);
    fs::remove_file(&aside).with_context(|| format!("cannot remove {}", aside.display()))?;
    match linked {
        Ok(()) => Ok((read_private(path)?, true)),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok((read_private(path)?, false)),
        Err(error) => Err(error).with_context(|| format!("cannot write {}", path.display())),
    }
}

fn read_private(path: &Path) -> Result<Vec<u8>> {
    let mode = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?.permissions().mode();
    if mode & 0o077 != 0 {
        bail!(
            "{} can be read by others (mode {:03o}); run: chmod 600 {}",
            path.display(),
            mode & 0o777,
            path.display()
        );
    }
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_made_once_and_are_private() {
        let folder = tempfile::tempdir().unwrap();
        let keys = KeyFolder::open(folder.path()).unwrap();
        let first = keys.symmetric("ticket.key").unwrap();
        assert_eq!(first.len(), KEY_BYTES);
        assert_eq!(first, KeyFolder::open(folder.path()).unwrap().symmetric("ticket.key").unwrap());
        assert_ne!(first, keys.symmetric("customer.key").unwrap());
        assert!(keys.bearer("processor.key").unwrap().is_ascii(), "fits into a header");
        let data = KeyFolder::open(&folder.path().join("made/data")).map(|_| folder.path().join("made/data")).unwrap();
        assert_eq!(fs::metadata(data).unwrap().permissions().mode() & 0o777, 0o700, "databases are private, too");
        let mode = fs::metadata(folder.path().join("keys/ticket.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn the_password_is_new_only_once() {
        let folder = tempfile::tempdir().unwrap();
        let keys = KeyFolder::open(folder.path()).unwrap();
        let made = keys.operator_password().unwrap();
        let again = keys.operator_password().unwrap();
        assert!(made.is_new && !again.is_new);
        assert_eq!(made.text, again.text);
        assert_eq!(made.text, read_operator_password(folder.path()).unwrap());
    }

    #[test]
    fn a_key_that_others_can_read_is_refused_with_the_command_that_mends_it() {
        let folder = tempfile::tempdir().unwrap();
        let keys = KeyFolder::open(folder.path()).unwrap();
        keys.symmetric("ticket.key").unwrap();
        let path = folder.path().join("keys/ticket.key");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = keys.symmetric("ticket.key").unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }

    #[test]
    fn a_missing_password_says_where_to_look() {
        let folder = tempfile::tempdir().unwrap();
        let error = read_operator_password(folder.path()).unwrap_err().to_string();
        assert!(error.contains("--data-dir"), "{error}");
    }
}
