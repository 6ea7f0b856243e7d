//! Files to a host: each arrives whole, in one rename, with its owner and mode, and its digest comes back.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use data_encoding::{BASE64, HEXLOWER};
use pki::secret::Secret;
use site::file::{NewFile, Owner};
use site::folder::Folder;
use site::random;

use super::Fleet;
use super::script::{quoted, whole};
use super::tool::INTERRUPTED;
use crate::admin::caller;
use crate::interrupt;
use crate::members::is_this_host;

/// Where files wait, here and there: memory, and nobody but root can make a name in it.
const WAITING: &str = "/run/";

/// How their folders' names begin.
const PREFIX: &str = "slurm-pki.";

/// A folder that is older was left by a run that was killed: no tool is given more than an hour.
const LEFT_MINUTES: u64 = 240;

/// A file as a host is to have it.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    /// Where; its folder is made with mode 0755 when it is missing.
    pub(crate) path: PathBuf,
    /// What is in it.
    pub(crate) contents: Secret,
    /// Permission bits.
    pub(crate) mode: u32,
    /// Whose it is.
    pub(crate) owner: Owner,
}

impl Placed {
    /// Whether others than its owner and group must not see it.
    fn is_secret(&self) -> bool {
        self.mode & 0o007 == 0
    }
}

/// What one host gets.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    /// The host.
    pub(crate) host: String,
    /// Its files, in the order in which they take their places.
    pub(crate) files: Vec<Placed>,
    /// What runs there after all of them; empty: nothing.
    pub(crate) then: String,
}

/// Brings a host its files, and compares what lies there with what was sent. The script's own lines are the result.
pub(super) fn bring(fleet: &Fleet, delivery: &Delivery) -> Result<Vec<String>, String> {
    if interrupt::came() {
        return Err(INTERRUPTED.to_owned());
    }
    let own = tempfile::Builder::new()
        .prefix(PREFIX)
        .rand_bytes(16)
        .permissions(fs::Permissions::from_mode(0o700))
        .tempdir_in(memory())
        .map_err(|e| e.to_string())?;
    let file = own.path().join("files");
    let text = |path: &Path| path.to_str().map(str::to_owned).ok_or("a file's name is not UTF-8");
    let (folder, name) = (text(own.path())?, text(&file)?);
    let write = |script: &Secret| {
        NewFile::new(&file, 0o600).not_synced().replace(script.expose()).map_err(|e| e.to_string())
    };
    let said = if is_this_host(&delivery.host) {
        write(&installing(delivery, &folder)?)?;
        fleet.run_file_on(&delivery.host, &name)
    } else {
        let random: [u8; 8] = random::bytes().map_err(|e| e.to_string())?;
        let there = format!("{WAITING}{PREFIX}{}", HEXLOWER.encode(&random));
        write(&installing(delivery, &there)?)?;
        send(fleet, &delivery.host, &file, &there)
    };
    compared(&delivery.files, said.map_err(|why| without_secrets(&why, &delivery.files))?)
}

fn send(fleet: &Fleet, host: &str, file: &Path, there: &str) -> Result<Vec<String>, String> {
    let sweeping = sweeping();
    fleet.run_on(host, &format!("{sweeping}cd {WAITING}\nswept {PREFIX}\numask 077\nmkdir {there}"))?;
    let place = format!("{there}/files");
    let said = fleet.copy_to(host, file, &place).and_then(|()| fleet.run_file_on(host, &place));
    if said.is_err() {
        // The script removes its folder itself, unless it never ran.
        fleet.clear_away(host, there);
    }
    said
}

/// `swept PREFIX`: removes what killed runs left in the folder where the shell is. Root's alone, and old: no command
/// takes as long. In memory alone, where root makes every name.
///
/// `swept_beside`: the same where others may change the folder around: what has such a name may be a folder of root's that
/// one of them gave it. So the one file that a run makes is removed, and then the folder if it is empty; nothing below it.
fn sweeping() -> String {
    format!(
        "swept() {{\nfind . -maxdepth 1 -name \"$1????????????????\" -user \"$(id -u)\" -mmin +{LEFT_MINUTES} \
         -exec rm -rf {{}} + < /dev/null || :\n}}\n\
         swept_beside() {{\nfind . -maxdepth 1 -type d -name '.slurm-pki-new.????????????????' \
         ! -name '*[!A-Za-z0-9.-]*' -user \"$(id -u)\" \\( -perm 700 -o -perm 2700 \\) -mmin +{LEFT_MINUTES} \
         < /dev/null | while read -r old; do\n\
         ( step \"${{old#./}}\"; rm -f file ) > /dev/null 2>&1 || :\n\
         rmdir \"$old\" 2> /dev/null || :\ndone\n}}\n"
    )
}

/// Takes away what killed runs of this command left on this host.
pub(super) fn sweep_here() {
    let Ok(entries) = fs::read_dir(memory()) else { return };
    let is_left = |entry: &fs::DirEntry| {
        let age = entry.metadata().ok().filter(|is| is.is_dir() && is.uid() == caller().uid)?;
        let age = age.modified().ok()?.elapsed().ok()?;
        let named = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        (named && age.as_secs() > LEFT_MINUTES * 60).then_some(())
    };
    let Ok(folder) = Folder::open(&memory()) else { return };
    for entry in entries.filter_map(Result::ok).filter(|entry| is_left(entry).is_some()) {
        let _ = folder.remove_all(&entry.file_name());
    }
}

/// A folder of this host in memory where there is one: what is written here need not reach a disk.
fn memory() -> PathBuf {
    let run = Path::new(WAITING);
    if caller().uid == 0 && run.is_dir() { run.into() } else { std::env::temp_dir() }
}

/// `put MODE OWNER FOLDER NAME`: stdin, in base64, becomes a file by one rename. It is made in a folder that nobody but
/// root can enter, so whoever owns the folder around it can neither see it before it has its owner and mode nor put a
/// link in its place. `mv` and `mktemp` know GNU's options; mktemp's names end in 16 signs as those in /run do.
///
/// `reach FOLDER`: goes there part by part, through no link but root's own in folders that nobody else can change (else the
/// link could be another one between two looks at it), and makes what is missing. A shell's folder is
/// held open, whatever stands at its path by then; `env pwd` asks the kernel where it is, and not the shell.
const PUT: &str = r#"
left=
inside=
# By a path it would go wherever the folder's owner lets that path lead by now. The shell is in the new folder or around it.
cleared() {
    rm -rf "$TMPDIR"
    [ -n "$left" ] || return 0
    if [ -n "$inside" ]; then
        rm -f file
        cd -P ..
    fi
    rmdir "$left" 2> /dev/null || :
}
trap cleared EXIT
# A shell that a signal ends leaves without that; a connection that was cut is a signal at the next word to it.
trap 'exit 1' HUP INT PIPE TERM
step() {
    at=$(env pwd -P)
    cd -P "./$1"
    [ "$(env pwd -P)" = "${at%/}/$1" ] || { echo "$at/$1 is not safe to go to: somebody else changes it"; exit 1; }
}
reach() {
    cd /
    way=$1/
    links=0
    while [ -n "$way" ]; do
        part=${way%%/*}
        way=${way#*/}
        case $part in
            ""|.) continue ;;
            ..) cd -P ..; continue ;;
        esac
        if [ -L "./$part" ]; then
            case $(stat -c %u "./$part") in
                0|"$(id -u)") ;;
                *) echo "$part on the way to $1 is a link that is not root's"; exit 1
            esac
            [ -n "$(find . -maxdepth 0 \( -user 0 -o -user "$(id -u)" \) ! -perm /022)" ] ||
                { echo "$part on the way to $1 is a link in a folder that others can change"; exit 1; }
            links=$((links + 1))
            [ $links -le 40 ] || { echo "$1: links without end"; exit 1; }
            to=$(readlink "./$part")
            case $to in /*) cd / ;; esac
            way=$to/$way
        else
            [ -d "./$part" ] || mkdir "./$part"
            step "$part"
        fi
    done
}
put() {
    umask 022
    reach "$3"
    swept_beside
    umask 077
    new=$(mktemp -d ./.slurm-pki-new.XXXXXXXXXXXXXXXX)
    left=$new
    step "${new#./}"
    # A folder with the set-group bit hands it down.
    case $(stat -c '%u %a' .) in
        "$(id -u) 700"|"$(id -u) 2700") ;;
        *) cd -P ..; echo "$3 is not safe to write in: somebody else changes it"; exit 1
    esac
    inside=yes
    set -C
    base64 -d > file
    set +C
    chown -h "$2" file
    chmod "$1" file
    sync file
    mv -fT file "../$4"
    inside=
    cd -P ..
    rmdir "$new"
    left=
    sync .
    say "file $(sha256sum < "./$4" | cut -d ' ' -f 1) $3/$4"
}
"#;

/// `own FOLDER`: fails where a file in it would be on a file system that other hosts have too. The names are those of GNU
/// stat; what it has none for may be one of those as well.
const OWN: &str = r#"
own() {
    folder=$1
    while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
    kind=$(stat -f -c %T "$folder")
    case $kind in
        nfs*|smb*|cifs|lustre|gpfs|ceph|afs|k-afs|kafs|acfs|panfs|fhgfs|beegfs|gfs*|ocfs2|pvfs*|coda|ncp|novell|\
        ibrix|snfs|vxfs|wekafs|v9fs|fuse*|vboxsf|vmhgfs|prl_fs)
            echo "$1 is on a file system that hosts share ($kind), and a secret would be put there"
            exit 1 ;;
        UNKNOWN*)
            echo "$1 is on a file system that stat has no name for ($kind): hosts may share it, and a secret would be put there"
            exit 1 ;;
    esac
}
"#;

fn installing(delivery: &Delivery, there: &str) -> Result<Secret, String> {
    let there = quoted(there);
    // Some shells keep the texts between << and END in files of TMPDIR for a moment.
    let mut script = format!("TMPDIR={there}\n{}{PUT}{OWN}", sweeping());
    let room: usize = delivery.files.iter().map(|file| file.contents.expose().len() * 2 + 1024).sum();
    // One buffer, large enough from the start: growing would leave unwiped copies behind.
    script.reserve_exact(room + delivery.then.len() + 1024);
    for file in &delivery.files {
        let (Some(folder), Some(name)) = (file.path.parent(), file.path.file_name()) else {
            return Err(format!("{} is no place for a file", file.path.display()));
        };
        let (Some(folder), Some(name)) = (folder.to_str().map(quoted), name.to_str().map(quoted)) else {
            return Err(format!("{} is not UTF-8", file.path.display()));
        };
        if file.is_secret() {
            script.push_str(&format!("own {folder}\n"));
        }
        script.push_str(&format!(
            "put {:04o} {}:{} {folder} {name} <<'END'\n",
            file.mode, file.owner.uid, file.owner.gid
        ));
        BASE64.encode_append(file.contents.expose(), &mut script);
        script.push_str("\nEND\n");
    }
    script.push_str(&delivery.then);
    let script = Secret::new(script.into_bytes());
    Ok(Secret::new(whole(std::str::from_utf8(script.expose()).unwrap_or_default()).into_bytes()))
}

/// What a tool or a shell said about a failure, with nothing of a secret file in it.
fn without_secrets(why: &str, files: &[Placed]) -> String {
    const SHORTEST: usize = 12;
    let is_inside = |word: &str| {
        let of = |file: &Placed| {
            let text = Secret::new(BASE64.encode(file.contents.expose()).into_bytes());
            let holds = |whole: &[u8]| whole.windows(word.len()).any(|part| part == word.as_bytes());
            holds(text.expose()) || holds(file.contents.expose())
        };
        word.len() >= SHORTEST && files.iter().filter(|file| file.is_secret()).any(of)
    };
    let is_sign = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '-' | '_');
    if why.split(|c| !is_sign(c)).any(is_inside) {
        return "it failed, and what it said about that had a secret in it".to_owned();
    }
    why.to_owned()
}

/// What lies there must be what was sent; the other lines are the result.
fn compared(files: &[Placed], said: Vec<String>) -> Result<Vec<String>, String> {
    for file in files {
        let wanted = format!("file {} {}", digest(file.contents.expose()), file.path.display());
        if !said.contains(&wanted) {
            return Err(format!("{} does not lie there as it was sent", file.path.display()));
        }
    }
    Ok(said.into_iter().filter(|line| !line.starts_with("file ")).collect())
}

/// SHA-256, lower-case hex, as sha256sum has it.
pub(crate) fn digest(bytes: &[u8]) -> String {
    HEXLOWER.encode(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn here() -> Fleet {
        Fleet {
            copy: Vec::new(),
            run: Vec::new(),
            parallel: 1,
            timeout: Duration::from_secs(20),
            goes_on: false,
        }
    }

    fn placed(path: PathBuf, contents: &[u8], mode: u32) -> Placed {
        Placed { path, contents: Secret::new(contents.to_vec()), mode, owner: caller() }
    }

    #[test]
    fn files_arrive_whole_with_owner_and_mode_in_folders_that_are_made() {
        let folder = tempfile::tempdir().unwrap();
        // As /etc/slurm may have it, for its group.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o2750)).unwrap();
        let (key, cert) = (folder.path().join("a b/c/it's.key"), folder.path().join("cert"));
        fs::write(&cert, "old").unwrap();
        let bytes: Vec<u8> = (0..=255).cycle().take(9999).collect();
        let files = vec![placed(key.clone(), &bytes, 0o400), placed(cert.clone(), b"", 0o644)];
        let there = quoted(folder.path().to_str().unwrap());
        let then = format!("say there $(ls {there})\nsay waits $(stat -c %a \"$TMPDIR\" \"$TMPDIR\"/files)");
        let said = bring(&here(), &Delivery { host: "localhost".into(), files, then }).unwrap();
        assert_eq!(
            said,
            ["there a b cert", "waits 700 600"],
            "whoever else is on this host sees nothing of it"
        );
        assert_eq!(fs::read(&key).unwrap(), bytes);
        assert_eq!(fs::metadata(&key).unwrap().mode() & 0o7777, 0o400);
        for made in ["a b", "a b/c"] {
            assert_eq!(fs::metadata(folder.path().join(made)).unwrap().mode() & 0o777, 0o755, "{made}");
        }
        assert_eq!(
            fs::read_dir(folder.path().join("a b/c")).unwrap().count(),
            1,
            "nothing is left beside it"
        );
        assert_eq!(
            (fs::read(&cert).unwrap().len(), fs::metadata(&cert).unwrap().mode() & 0o7777),
            (0, 0o644)
        );
    }

    /// Runs the script that puts one file of mode 0600 there, with a function of the shell in front of it.
    fn put_with(function: &str, path: &Path) -> std::process::Output {
        let files = vec![placed(path.to_owned(), b"new", 0o600)];
        let scratch = tempfile::tempdir().unwrap();
        let delivery = Delivery { host: "localhost".into(), files, then: String::new() };
        let script = installing(&delivery, scratch.path().to_str().unwrap()).unwrap();
        let script = format!("{function}\n{}", std::str::from_utf8(script.expose()).unwrap());
        std::process::Command::new("/bin/sh").args(["-c", &script]).output().unwrap()
    }

    #[test]
    fn a_link_that_comes_in_the_folders_place_meanwhile_leads_no_file_elsewhere() {
        for command in ["mktemp", "chown", "sync"] {
            let at = tempfile::tempdir().unwrap();
            let [folder, roots, moved] = ["folder", "roots", "moved"].map(|name| at.path().join(name));
            fs::create_dir(&folder).unwrap();
            fs::create_dir(&roots).unwrap();
            fs::write(roots.join("key"), "root's").unwrap();
            let [from, to, link] = [&folder, &moved, &roots].map(|path| path.display());
            let exchange = format!("[ -e {to} ] || {{ mv {from} {to}; ln -s {link} {from}; }}");
            let function = format!("{command}() {{ {exchange}; command {command} \"$@\"; }}");
            let output = put_with(&function, &folder.join("key"));
            assert!(output.status.success(), "{command}: {output:?}");
            for (place, contents) in [(&roots, &b"root's"[..]), (&moved, b"new")] {
                assert_eq!(fs::read(place.join("key")).unwrap(), contents, "{command}");
                assert_eq!(fs::read_dir(place).unwrap().count(), 1, "{command}: nothing is left beside it");
            }
        }
    }

    /// SlurmUser may rename what root has in a folder of his.
    #[test]
    fn what_killed_runs_left_goes_and_nothing_below_a_folder_that_was_given_such_a_name() {
        let at = tempfile::tempdir().unwrap();
        let [left, others, open] = ["aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb", "cccccccccccccccc"]
            .map(|name| at.path().join(format!(".slurm-pki-new.{name}")));
        for (folder, mode) in [(&left, 0o700), (&others, 0o700), (&open, 0o755)] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("file"), "half a secr").unwrap();
            fs::set_permissions(folder, fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::create_dir(others.join("below")).unwrap();
        for name in ["key", "below/file"] {
            fs::write(others.join(name), "root's").unwrap();
        }
        let link = at.path().join(".slurm-pki-new.dddddddddddddddd");
        std::os::unix::fs::symlink(&open, &link).unwrap();
        let old = ["-h", "-d", "5 hours ago"];
        let made_old =
            std::process::Command::new("touch").args(old).args([&left, &others, &open, &link]).status();
        assert!(made_old.unwrap().success());
        let output = put_with("", &at.path().join("key"));
        assert!(output.status.success(), "{output:?}");
        assert!(!left.exists(), "what a run that was killed left is gone");
        for name in ["key", "below/file"] {
            assert_eq!(fs::read(others.join(name)).unwrap(), b"root's", "{name}");
        }
        assert!(open.join("file").exists() && link.is_symlink(), "no run makes such a folder, nor a link");
    }

    /// After the new folder was made, another one stands at its name when the shell is ended.
    #[test]
    fn a_shell_that_is_ended_removes_nothing_of_a_folder_that_came_in_the_place_of_its_own() {
        let at = tempfile::tempdir().unwrap();
        let roots = at.path().join("roots");
        fs::create_dir(&roots).unwrap();
        fs::write(roots.join("file"), "root's").unwrap();
        let function = "chmod() { its=$(env pwd -P); mv \"$its\" \"${its%/*}/moved\"; \
                        mv \"${its%/*}/roots\" \"$its\"; kill -TERM $$; }";
        let output = put_with(function, &at.path().join("key"));
        assert!(!output.status.success(), "{output:?}");
        let mut names: Vec<_> = fs::read_dir(at.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        let [its, moved] = names.as_slice() else { panic!("{names:?}") };
        assert_eq!(fs::read(its.join("file")).unwrap(), b"root's");
        assert_eq!(fs::read_dir(moved).unwrap().count(), 0, "nothing of the secret is left");
    }

    #[test]
    fn files_go_through_links_of_roots_and_of_nobody_else() {
        let at = tempfile::tempdir().unwrap();
        let [folder, link] = ["folder", "link"].map(|name| at.path().join(name));
        for to in ["folder", "./folder/../folder", folder.to_str().unwrap()] {
            fs::create_dir(&folder).unwrap();
            std::os::unix::fs::symlink(to, &link).unwrap();
            let output = put_with("", &link.join("in/key"));
            assert!(output.status.success(), "{to}: {output:?}");
            assert_eq!(fs::read(folder.join("in/key")).unwrap(), b"new");
            if caller().uid == 0 {
                std::os::unix::fs::lchown(&link, Some(65_534), Some(65_534)).unwrap();
                let output = put_with("", &link.join("key"));
                assert!(!output.status.success());
                assert!(
                    String::from_utf8(output.stdout).unwrap().contains("a link that is not root's"),
                    "{to}"
                );
                assert!(!folder.join("key").exists(), "{to}");
            }
            Folder::open(at.path()).unwrap().names().unwrap().iter().for_each(|name| {
                Folder::open(at.path()).unwrap().remove_all(name).unwrap();
            });
        }
    }

    /// Between two looks at it the link could be another one.
    #[test]
    fn a_link_in_a_folder_that_others_can_change_leads_nowhere() {
        let at = tempfile::tempdir().unwrap();
        let shared = at.path().join("shared");
        fs::create_dir(&shared).unwrap();
        fs::create_dir(shared.join("folder")).unwrap();
        std::os::unix::fs::symlink("folder", shared.join("link")).unwrap();
        fs::set_permissions(&shared, fs::Permissions::from_mode(0o775)).unwrap();
        let output = put_with("", &shared.join("link/key"));
        assert!(!output.status.success());
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.contains("a link in a folder that others can change"), "{said}");
        assert_eq!(fs::read_dir(shared.join("folder")).unwrap().count(), 0);
    }

    #[test]
    fn a_file_that_cannot_take_its_place_is_a_failure_and_those_after_it_stay_away() {
        let folder = tempfile::tempdir().unwrap();
        let (taken, after) = (folder.path().join("taken"), folder.path().join("after"));
        fs::create_dir(&taken).unwrap();
        fs::write(taken.join("x"), "").unwrap();
        let files = vec![placed(taken, b"1", 0o600), placed(after.clone(), b"2", 0o600)];
        let delivery = Delivery { host: "localhost".into(), files, then: String::new() };
        bring(&here(), &delivery).unwrap_err();
        assert!(!after.exists());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    /// SlurmUser owns /etc/slurm in places: between `mktemp` and `cd` it could put a folder of its own there.
    #[test]
    fn nothing_is_written_in_a_folder_that_somebody_else_put_there() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().to_str().unwrap();
        let put = |looks: &str| {
            let script = format!(
                "swept_beside() {{ :; }}\nsay() {{ :; }}\nstat() {{ echo {looks}; }}\nTMPDIR=$(mktemp -d)\n{PUT}\n\
                 put 0600 $(id -u):$(id -g) {place} name <<'END'\nc2VjcmV0\nEND\n"
            );
            let output = std::process::Command::new("/bin/sh").args(["-euc", &script]).output().unwrap();
            (output.status.success(), String::from_utf8(output.stdout).unwrap())
        };
        for looks in ["65534 700", "$(id -u) 777", "$(id -u) 2750"] {
            let (ended, said) = put(looks);
            assert!(!ended && said.contains("somebody else changes it"), "{looks}: {said}");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{looks}");
        }
        let looks = format!("'{} 700'", caller().uid);
        assert!(put(&looks).0);
        assert_eq!(fs::read(folder.path().join("name")).unwrap(), b"secret");
    }

    #[test]
    fn a_shell_that_is_ended_half_way_leaves_nothing_behind() {
        for signal in ["HUP", "INT", "PIPE", "TERM"] {
            let (folder, waiting) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let (place, there) = (folder.path().display(), waiting.path().join("there"));
            fs::create_dir(&there).unwrap();
            let script = format!(
                "swept_beside() {{ :; }}\nsay() {{ :; }}\nchmod() {{ ls >&2; kill -{signal} $$; }}\nTMPDIR={}\n{PUT}\n\
                 put 0600 $(id -u):$(id -g) {place} name <<'END'\nc2VjcmV0\nEND\n",
                there.display()
            );
            // Under nohup a shell would not hear of HUP.
            let shell = ["--default-signal", "/bin/sh", "-euc", &script];
            let output = std::process::Command::new("env").args(shell).output().unwrap();
            assert_eq!(output.status.code(), Some(1), "{signal}");
            assert!(String::from_utf8(output.stderr).unwrap().contains("file"), "the secret was there");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{signal}");
            assert!(!there.exists(), "{signal}");
        }
    }

    #[test]
    fn a_file_system_is_shared_or_a_hosts_own_by_its_kind() {
        let is_own = |kind: &str| {
            let script = format!("stat() {{ echo '{kind}'; }}\n{OWN}\nown /nowhere/at/all");
            let output = std::process::Command::new("/bin/sh").args(["-euc", &script]).output().unwrap();
            let said = String::from_utf8(output.stdout).unwrap();
            assert_eq!(output.status.success(), said.is_empty(), "{said}");
            assert!(said.is_empty() || said.contains(kind) && said.contains("/nowhere/at/all"), "{said}");
            output.status.success()
        };
        for own in ["ext2/ext3", "xfs", "btrfs", "tmpfs", "ramfs", "overlayfs", "zfs", "f2fs", "bcachefs"] {
            assert!(is_own(own), "{own}");
        }
        for shared in
            ["nfs", "nfs4", "lustre", "gpfs", "ceph", "fhgfs", "fuseblk", "v9fs", "snfs", "panfs", "smb2"]
        {
            assert!(!is_own(shared), "{shared}");
        }
        assert!(!is_own("UNKNOWN (0x4b525453)"));
    }

    #[test]
    fn a_reason_that_quotes_a_secret_is_not_shown() {
        let secret = placed("/x".into(), b"slurm-pki-node-v1:abcdefgh", 0o400);
        let public = placed("/y".into(), b"slurm-pki-node-v1:abcdefgh", 0o644);
        let line = format!("files: 7: {}: not found", BASE64.encode(secret.contents.expose()));
        assert!(!without_secrets(&line, std::slice::from_ref(&secret)).contains("not found"));
        assert!(
            !without_secrets("node-v1:abcdefghi v1:slurm-pki-node-v1", std::slice::from_ref(&secret))
                .contains("v1:")
        );
        assert_eq!(without_secrets(&line, &[public]), line);
        assert_eq!(without_secrets("No space left on device", &[secret]), "No space left on device");
    }

    #[test]
    fn what_lies_there_is_compared_with_what_was_sent() {
        let file = placed("/x".into(), b"1", 0o600);
        let line = |contents: &[u8]| vec![format!("file {} /x", digest(contents)), "own".to_owned()];
        assert_eq!(compared(std::slice::from_ref(&file), line(b"1")).unwrap(), ["own"]);
        assert!(compared(&[file], line(b"2")).is_err());
    }
}
