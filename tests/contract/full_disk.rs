//! A disk without room: a small file system filled to its last byte, or, where nothing can be mounted, a
//! limit on file sizes that makes every write fail in the same place.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use support::site::files_below;
use support::slurm::Slurm;

/// A folder that nothing more can be written to.
pub(crate) struct FullDisk {
    mounted: Option<PathBuf>,
}

impl FullDisk {
    /// Fills `folder`, which keeps its files.
    pub(crate) fn at(folder: &Path) -> Self {
        let with_mode = |(path, contents): (PathBuf, Vec<u8>)| {
            let mode = fs::metadata(&path).unwrap().permissions();
            (path, contents, mode)
        };
        let files: Vec<_> = files_below(folder).into_iter().map(with_mode).collect();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs"]).arg(folder);
        if !Self::succeeds(&mut mount) {
            return Self { mounted: None };
        }
        for (path, contents, mode) in files {
            fs::write(&path, contents).unwrap();
            fs::set_permissions(&path, mode).unwrap();
        }
        let mut filler = File::create(folder.join("filler")).unwrap();
        while filler.write_all(&[0; 512]).is_ok() {}
        Self { mounted: Some(folder.to_owned()) }
    }

    /// Runs a program on this disk.
    pub(crate) fn run(&self, slurm: &Slurm, program: &Path, argv: &[OsString]) -> Output {
        if self.mounted.is_some() {
            return slurm.run_apart(program, argv);
        }
        // An ignored SIGXFSZ stays ignored over exec: writes fail with EFBIG.
        let limited = "trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\"";
        let mut words: Vec<OsString> = vec!["-c".into(), limited.into(), program.into()];
        words.extend(argv.iter().cloned());
        slurm.run_apart(Path::new("/bin/sh"), &words)
    }

    fn succeeds(command: &mut Command) -> bool {
        command.output().is_ok_and(|output| output.status.success())
    }
}

impl Drop for FullDisk {
    fn drop(&mut self) {
        if let Some(folder) = &self.mounted {
            assert!(Self::succeeds(Command::new("umount").arg(folder)), "{} stays mounted", folder.display());
        }
    }
}
