//! What lies on another host, and how a new pair gets there: the same folders, numbers and links as on this one.
//!
//! From there comes the certificate, never the key. Files that others made there become links through `current`, by steps
//! that leave a whole pair at every moment: the next run of a command on this host could not repair a torn one there.

use std::collections::BTreeMap;
use std::path::Path;

use data_encoding::BASE64;
use pki::loads_in_s2n::MAX_CHAIN_PEM;
use pki::secret::Secret;
use pki::time::UnixTime;
use site::file::Owner;

use super::super::target::Target;
use crate::daemon_files::{DaemonFiles, Look, Looks, Pair};
use crate::fleet::{Delivery, Fleet, Job, Placed, digest, quoted};
use crate::global::Global;
use crate::moment;

/// How a daemon's files stand on another host.
#[derive(Clone, Debug)]
pub(super) struct There {
    /// The certificate file.
    pub(super) cert: Option<Vec<u8>>,
    /// Owner and mode of both, where both are there.
    pub(super) looks: Option<Looks>,
    /// Whether there is a key.
    pub(super) has_key: bool,
    /// Whether something is there that is no link of ours.
    pub(super) foreign: bool,
    /// The highest number in our folder; 0: none.
    last: u64,
}

/// `look INDEX CERT KEY FOLDER TO_CERT TO_KEY`: says all of it. Root is led through nobody else's links.
const LOOK: &str = r#"
is_foreign() {
    if [ -L "$1" ] && [ "$(readlink "$1")" = "$2" ]; then return 1; fi
    [ -e "$1" ] || [ -L "$1" ]
}
look() {
    place=$4
    while [ "$place" != / ]; do
        if [ -L "$place" ]; then
            owner=$(stat -c %u "$place")
            if [ "$owner" != 0 ] && [ "$owner" != "$(id -u)" ]; then say "led $1 $place"; return 0; fi
        fi
        place=$(dirname "$place")
    done
    foreign=no
    if is_foreign "$2" "$5" || is_foreign "$3" "$6"; then foreign=yes; fi
    last=0
    if [ -d "$4" ]; then
        for name in $(ls "$4"); do
            case $name in *[!0-9]* | ??????????*) continue ;; esac
            if [ "$name" -gt "$last" ]; then last=$name; fi
        done
    fi
    say "files $1 $foreign $last"
    if [ -f "$2" ]; then
        say "cert $1 $(stat -L -c '%a %u %g' "$2") $(head -c 65537 "$2" | base64 | tr -d '\n')"
    fi
    if [ -f "$3" ] && [ -s "$3" ]; then say "key $1 $(stat -L -c '%a %u %g' "$3")"; fi
}
"#;

/// Makes the pair that was brought the one that counts. `old`: the number under which files that others made are kept.
const EXCHANGE: &str = r#"
point() {
    rm -f "$2.$$.tmp"
    ln -s "$1" "$2.$$.tmp"
    mv -fT "$2.$$.tmp" "$2"
}
chmod 0755 "$(dirname "$folder")" "$folder" "$folder/$new"
links() {
    if [ "$(readlink "$key")" != "$to_key" ]; then point "$to_key" "$key"; fi
    if [ "$(readlink "$cert")" != "$to_cert" ]; then point "$to_cert" "$cert"; fi
    sync "$(dirname "$key")" "$(dirname "$cert")"
}
if [ "$old" != 0 ]; then
    for path in "$key" "$cert"; do
        if [ -e "$path" ] || [ -L "$path" ]; then ln -f "$path" "$path.$stamp.old"; fi
    done
    if [ -f "$key" ] && [ -f "$cert" ]; then
        mkdir -p "$folder/$old"
        chmod 0755 "$folder/$old"
        cp -p "$key" "$folder/$old/key.pem"
        cp -p "$cert" "$folder/$old/cert.pem"
        sync "$folder/$old/key.pem" "$folder/$old/cert.pem" "$folder/$old" "$folder"
        point "$old" "$folder/current"
        links
    fi
fi
before=$(readlink "$folder/current" || echo none)
point "$new" "$folder/current"
links
sync "$folder"
for name in $(ls "$folder"); do
    case $name in *[!0-9]* | "$new" | "$before") continue ;; esac
    rm -f "$folder/$name/key.pem" "$folder/$name/cert.pem"
    rmdir "$folder/$name" 2>/dev/null || true
done
say "now $(sha256sum < "$cert" | cut -d ' ' -f 1)"
"#;

/// Looks at the files of all targets, which are on other hosts: in their order, each with what is there or why that cannot
/// be told.
pub(super) fn look(global: &Global, fleet: &Fleet, targets: &[&Target]) -> Vec<Result<There, String>> {
    let mut scripts: BTreeMap<String, String> = BTreeMap::new();
    let mut asked = Vec::new();
    for (index, target) in targets.iter().enumerate() {
        let words = arguments(target);
        if let Ok([cert, key, folder, to_cert, to_key]) = &words {
            let script = scripts.entry(target.place.host()).or_insert_with(|| LOOK.to_owned());
            script.push_str(&format!("look {index} {cert} {key} {folder} {to_cert} {to_key}\n"));
        }
        asked.push(words.map(drop));
    }
    let jobs = scripts.into_iter().map(|(host, script)| Job { host, script }).collect();
    let outcomes = fleet.run(global, "certificates", jobs);
    let there = |(index, (target, asked)): (usize, (&&Target, Result<(), String>))| {
        asked?;
        match outcomes.of(&target.place.host()) {
            Some(Ok(said)) => There::read(said, index),
            Some(Err(why)) => Err(why.clone()),
            None => Err("it was not asked".to_owned()),
        }
    };
    targets.iter().zip(asked).enumerate().map(there).collect()
}

/// Certificate, key and folder, and where our links lead: words for a shell.
fn arguments(target: &Target) -> Result<[String; 5], String> {
    let files = DaemonFiles::of(target.daemon, &target.config).map_err(|e| e.to_string())?;
    let [(key, to_key), (cert, to_cert)] = files.links();
    Ok([word(cert)?, word(key)?, word(files.folder())?, word(&to_cert)?, word(&to_key)?])
}

fn word(path: &Path) -> Result<String, String> {
    path.to_str().map(quoted).ok_or_else(|| format!("{} is not UTF-8", path.display()))
}

impl There {
    fn read(said: &[String], index: usize) -> Result<Self, String> {
        let about = |what: &str| {
            let begin = format!("{what} {index} ");
            said.iter()
                .find_map(|line| line.strip_prefix(&begin))
                .map(|rest| rest.split(' ').collect::<Vec<_>>())
        };
        if let Some(led) = about("led") {
            return Err(format!("{} is a link there that is not root's", led.join(" ")));
        }
        let Some([foreign, last]) = about("files").and_then(|words| <[&str; 2]>::try_from(words).ok()) else {
            return Err("it said something else".into());
        };
        let last = last.parse().map_err(|_| "a number there is none")?;
        let (mut cert, mut cert_look) = (None, None);
        if let Some([mode, uid, gid, contents]) =
            about("cert").and_then(|words| <[&str; 4]>::try_from(words).ok())
        {
            cert_look = look_of(mode, uid, gid);
            // Longer than any chain: whatever it is, it does not load.
            cert = BASE64.decode(contents.as_bytes()).ok().map(|bytes| cut(bytes, MAX_CHAIN_PEM + 1));
        }
        let key: Option<[&str; 3]> = about("key").and_then(|words| words.try_into().ok());
        let key_look = key.and_then(|[mode, uid, gid]| look_of(mode, uid, gid));
        let looks = key_look.zip(cert_look).map(|(key, cert)| Looks::masked(key, cert));
        Ok(Self { cert, looks, has_key: key.is_some(), foreign: foreign == "yes", last })
    }

    /// A pair on its way to where this was read.
    pub(super) fn delivery(
        &self,
        target: &Target,
        pair: &Pair,
        looks: Looks,
        now: UnixTime,
    ) -> Result<Delivery, String> {
        let files = DaemonFiles::of(target.daemon, &target.config).map_err(|e| e.to_string())?;
        let old = if self.foreign { self.last.saturating_add(1) } else { 0 };
        let new = self.last.max(old).saturating_add(1);
        let folder = files.folder().join(new.to_string());
        let placed = |name: &str, contents: Secret, look: Look| Placed {
            path: folder.join(name),
            contents,
            mode: look.mode,
            owner: look.owner,
        };
        let cert = Secret::new(pair.cert().as_bytes().to_vec());
        let [cert_word, key_word, folder_word, to_cert, to_key] = arguments(target)?;
        let then = format!(
            "cert={cert_word} key={key_word} folder={folder_word} to_cert={to_cert} to_key={to_key}\n\
             old={old} new={new} stamp={}\n{EXCHANGE}",
            moment::for_file_name(now)
        );
        Ok(Delivery {
            host: target.place.host(),
            files: vec![
                placed("key.pem", pair.key().clone(), looks.key),
                placed("cert.pem", cert, looks.cert),
            ],
            then,
        })
    }
}

/// Whether what a host said after a delivery is that the new certificate lies under Slurm's name.
pub(super) fn is_there(said: &[String], pair: &Pair) -> bool {
    said.contains(&format!("now {}", digest(pair.cert().as_bytes())))
}

fn look_of(mode: &str, uid: &str, gid: &str) -> Option<Look> {
    let owner = Owner { uid: uid.parse().ok()?, gid: gid.parse().ok()? };
    Some(Look { mode: u32::from_str_radix(mode, 8).ok()?, owner })
}

fn cut(mut bytes: Vec<u8>, room: usize) -> Vec<u8> {
    bytes.truncate(room);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Result<There, String> {
        There::read(&lines.iter().map(|&line| line.to_owned()).collect::<Vec<_>>(), 3)
    }

    #[test]
    fn what_a_host_says_is_read_for_each_daemon_of_its_own() {
        let there =
            read(&["files 30 yes 9", "files 3 no 4", "cert 3 644 64030 0 Y2VydA==", "key 3 600 64030 0"]);
        let there = there.unwrap();
        assert_eq!(
            (there.cert.as_deref(), there.has_key, there.foreign, there.last),
            (Some(&b"cert"[..]), true, false, 4)
        );
        assert_eq!(there.looks.unwrap().key, Look { mode: 0o600, owner: Owner { uid: 64030, gid: 0 } });
    }

    #[test]
    fn a_host_that_says_nothing_or_leads_root_astray_is_a_failure() {
        assert!(read(&[]).is_err());
        assert!(read(&["files 3 no x"]).is_err());
        assert!(read(&["led 3 /etc/slurm"]).unwrap_err().contains("/etc/slurm is a link"));
    }

    /// A host with a pair of others, or with one of ours, whose shell is killed before every single command.
    #[test]
    fn wherever_it_is_killed_key_and_certificate_belong_together() {
        for foreign in [true, false] {
            let mut kills = 0;
            for (number, line) in EXCHANGE.lines().enumerate() {
                let words =
                    ["rm", "ln", "mv", "chmod", "sync", "mkdir", "cp", "point", "links", "rmdir", "say"];
                let first = line.trim().split(' ').next().unwrap();
                if !words.contains(&first) {
                    continue;
                }
                for nth in 1..=4 {
                    let kill = format!("hits=$((hits+1)); if [ $hits = {nth} ]; then kill -9 $$; fi");
                    let mut lines: Vec<&str> = EXCHANGE.lines().collect();
                    lines.insert(number, &kill);
                    let (place, ended) = exchanged(foreign, &lines.join("\n"));
                    kills += usize::from(!ended);
                    let (key, cert) = pair(&place);
                    assert_eq!(key, cert, "killed before line {number}, time {nth}: {line}");
                    if ended {
                        break;
                    }
                }
            }
            assert!(kills > if foreign { 20 } else { 8 }, "{kills} kills");
            let (place, ended) = exchanged(foreign, EXCHANGE);
            assert!(ended);
            assert_eq!(pair(&place), ("new".into(), "new".into()));
        }
    }

    /// What the two files say that they are.
    fn pair(place: &tempfile::TempDir) -> (String, String) {
        let read = |name: &str| std::fs::read_to_string(place.path().join(name)).unwrap();
        (read("key"), read("cert"))
    }

    fn exchanged(foreign: bool, script: &str) -> (tempfile::TempDir, bool) {
        use std::fs::{create_dir_all, write};
        use std::os::unix::fs::symlink;
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        create_dir_all(at(".slurm-pki/ctld/2")).unwrap();
        write(at(".slurm-pki/ctld/2/key.pem"), "new").unwrap();
        write(at(".slurm-pki/ctld/2/cert.pem"), "new").unwrap();
        for (name, file) in [("key", "key.pem"), ("cert", "cert.pem")] {
            if foreign {
                write(at(name), "old").unwrap();
            } else {
                create_dir_all(at(".slurm-pki/ctld/1")).unwrap();
                write(at(".slurm-pki/ctld/1").join(file), "old").unwrap();
                symlink(format!(".slurm-pki/ctld/current/{file}"), at(name)).unwrap();
            }
        }
        if !foreign {
            symlink("1", at(".slurm-pki/ctld/current")).unwrap();
        }
        let begin = format!(
            "set -eu\nhits=0\nsay() {{ :; }}\nsync() {{ :; }}\ncd {}\nfolder=$PWD/.slurm-pki/ctld cert=$PWD/cert key=$PWD/key old={} new=2 stamp=s\n\
             to_cert=.slurm-pki/ctld/current/cert.pem to_key=.slurm-pki/ctld/current/key.pem\n",
            place.path().display(),
            u64::from(foreign)
        );
        let status = std::process::Command::new("/bin/sh").arg("-c").arg(begin + script).status().unwrap();
        (place, status.success())
    }
}
