//! Whether a key may be put into a folder.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use site::Error;
use site::file::Owner;

use crate::admin::refuse_links_of_others;
use crate::advice::{Advice, Advise as _};
use crate::fleet::quoted;
use crate::slurm_conf::SlurmConf;

/// Nobody but its owner's group may come in, and nobody but its owner write; Slurm's own StateSaveLocation, which must be
/// SlurmUser's, may be entered by all (it has mode 0755 in Slurm's own guide).
///
/// # Errors
/// When others could see, exchange or take away what is put there; when there is no such folder.
pub(super) fn refuse_open(path: &Path, slurm_user: Owner, state_save_location: &Path) -> anyhow::Result<()> {
    let folder = of(path);
    refuse_links_of_others(&folder)?;
    let metadata = folder.metadata().map_err(Error::read(&folder)).advise()?;
    let mode = metadata.mode() & 0o7777;
    let is_owned = metadata.uid() == slurm_user.uid || metadata.uid() == 0;
    let is_own = metadata.uid() == slurm_user.uid && is_same(&folder, state_save_location);
    let forbidden = if is_own { 0o022 } else { 0o023 };
    let why = if !is_owned {
        format!("it belongs to uid {}, neither root nor SlurmUser", metadata.uid())
    } else if mode & forbidden != 0 {
        format!("others may enter it or write in it (mode {mode:04o})")
    } else {
        return Ok(());
    };
    Err(Advice::new(
        format!("no key is put into {}: {why}", folder.display()),
        format!(
            "a folder of SlurmUser's with mode 0700, or StateSaveLocation ({}) if it is SlurmUser's and nobody else writes there",
            state_save_location.display()
        ),
    )
    .into())
}

/// Both a key's place and its bytes may be SlurmUser's choice (slurmdbd.conf, StateSaveLocation, the state of a rotation), and
/// root writes them: so only into a folder that is SlurmUser's own, or beside slurm.conf under a name that ends in `.key`.
///
/// # Errors
/// When it is another place.
pub(crate) fn refuse_strange(path: &Path, slurm_user: Owner) -> anyhow::Result<()> {
    let folder = of(path);
    refuse_links_of_others(&folder)?;
    let is_own = folder.metadata().is_ok_and(|folder| folder.uid() == slurm_user.uid);
    let is_key = path.extension().is_some_and(|end| end == "key");
    if is_own || (is_key && is_same(&folder, &of(&SlurmConf::path_here()))) {
        return Ok(());
    }
    Err(Advice::new(format!("no key is put into {}: it is not SlurmUser's", folder.display()), PLACES).into())
}

/// The same as lines of shell for another host: they end the script there.
pub(crate) fn refuse_strange_there(path: &Path, slurm_user: Owner) -> String {
    let conf = of(&SlurmConf::path_here());
    format!(
        "f={}\nd=${{f%/*}}\ncase $f in *.key) k=1 ;; *) k= ;; esac\n\
         if [ ! -d \"$d\" ] || [ \"$(stat -L -c %u \"$d\")\" != {} ]; then\n\
         [ -n \"$k\" ] && [ \"$d\" = {} ] || {{ echo \"no key is put into $d: it is not SlurmUser's\" >&2; exit 1; }}\nfi\n",
        quoted(&path.to_string_lossy()),
        slurm_user.uid,
        quoted(&conf.to_string_lossy()),
    )
}

/// What is said of it.
const PLACES: &str = "name it in a folder of SlurmUser's (StateSaveLocation is one), or beside slurm.conf with a name that ends in .key";

fn of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    one.canonicalize().ok().zip(other.canonicalize().ok()).is_some_and(|(one, other)| one == other)
}
