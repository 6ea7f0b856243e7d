//! A cluster's hosts, all on this machine, and ansible-playbook on its way to them.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use support::programs::{program, workspace};
use support::ssh::{Listens, Ssh};
use tempfile::TempDir;

/// What a host runs: a layer of its own above this machine, /run, /tmp and root's home of its own (what a shell does first in
/// this machine's may take long), and sshd.
const HOST: &str = r#"
set -e
mount -n -t tmpfs -o mode=0755 tmpfs "$layer"
mkdir "$layer/upper" "$layer/work" "$layer/root"
mount -n -t overlay -o "lowerdir=/,upperdir=$layer/upper,workdir=$layer/work" overlay "$layer/root"
cd "$layer/root"
mount -n --rbind /proc proc
mount -n --rbind /dev dev
mount -n -t tmpfs -o mode=0755 tmpfs run
mount -n -t tmpfs -o mode=1777 tmpfs tmp
mount -n -t tmpfs -o mode=0700 tmpfs root
mkdir -p run/sshd
rm -rf etc/slurm var/lib/slurm-pki usr/libexec/slurm-pki etc/default/slurmd etc/default/sackd
mkdir -p etc/slurm root/.ansible/tmp
printf 'ClusterName=c1\nSlurmctldHost=head\nSlurmUser=slurm\nNodeName=n[1-2]\n' > etc/slurm/slurm.conf
cp "$units"/slurm-pki-renew.* etc/systemd/system/
hostname "$name"
chroot . sh -c 'getent passwd slurm > /dev/null || useradd --system --no-create-home --shell /usr/sbin/nologin slurm'
printf '%s' "$config" > sshd_config
exec chroot . /usr/sbin/sshd -D -e -f /sshd_config
"#;

/// The hosts, which end with the value.
pub(crate) struct Hosts {
    folder: TempDir,
    ssh: Ssh,
    running: Vec<(String, Child)>,
}

/// What a play did.
pub(crate) struct Played {
    pub(crate) said: String,
    /// Of each host: changed, failed and unreachable.
    recap: Vec<(String, [u32; 3])>,
}

impl Hosts {
    /// With these names.
    pub(crate) fn new(names: &[&str]) -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "these tests need root: each host is an sshd in namespaces of its own"
        );
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let ssh = Ssh::prepare(folder.path());
        let mut hosts = Self { folder, ssh, running: Vec::new() };
        ["home", "local", "cp"].iter().for_each(|name| fs::create_dir(hosts.path(name)).unwrap());
        for (number, name) in names.iter().enumerate() {
            hosts.start(name, number);
        }
        hosts
    }

    /// A file of the tests' own.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    /// Where a host really has what it sees at a path.
    pub(crate) fn on(&self, host: &str, path: &str) -> PathBuf {
        let (_, child) = self.running.iter().find(|(name, _)| name == host).unwrap();
        PathBuf::from(format!("/proc/{}/root{path}", child.id()))
    }

    /// Permission bits and owner of a file on a host; the owner's name is this machine's or the host's.
    #[track_caller]
    pub(crate) fn mode_and_owner(&self, host: &str, path: &str) -> (u32, u32) {
        let is = fs::symlink_metadata(self.on(host, path)).unwrap_or_else(|e| panic!("{host}: {path}: {e}"));
        (is.mode() & 0o7777, is.uid())
    }

    /// Runs a command on a host, past ssh; what it says, when all is well.
    pub(crate) fn run(&self, host: &str, words: &[&str]) -> Result<String, String> {
        let (_, child) = self.running.iter().find(|(name, _)| name == host).unwrap();
        let pid = child.id().to_string();
        let mut command = Command::new("nsenter");
        command.args(["-t", &pid, "--mount", "--uts", "--root", "--wd"]).args(words).stdin(Stdio::null());
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    /// ansible-playbook with the role's own site.yml, and further words.
    pub(crate) fn play(&self, words: &[&str]) -> Played {
        self.play_by(&["ansible-playbook"], words)
    }

    /// The same, started by another program.
    pub(crate) fn play_by(&self, starter: &[&str], words: &[&str]) -> Played {
        let ansible = workspace().join("packaging/ansible");
        let mut command = Command::new(starter[0]);
        command.args(&starter[1..]).arg("-i").arg(self.path("inventory.ini")).args(words);
        command.arg(ansible.join("site.yml")).current_dir(self.folder.path()).env_clear();
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", self.path("home"));
        command.env("ANSIBLE_ROLES_PATH", ansible.join("roles")).env("ANSIBLE_NOCOLOR", "1");
        command.env("LANG", "C.UTF-8").env("ANSIBLE_LOCAL_TEMP", self.path("local"));
        command.env(
            "ANSIBLE_SSH_ARGS",
            format!("-F {} -o ControlMaster=auto -o ControlPersist=60s", self.ssh.config().display()),
        );
        command.env("ANSIBLE_SSH_CONTROL_PATH_DIR", self.path("cp"));
        // Into a file: ssh's shared connections hold a pipe open for a minute.
        let log = self.path("played");
        let file = File::create(&log).unwrap();
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        command.status().expect("ansible-playbook: install ansible-core");
        let said = String::from_utf8_lossy(&fs::read(log).unwrap()).into_owned();
        Played { recap: recap(&said), said }
    }

    fn start(&mut self, name: &str, number: usize) {
        let at = Listens::on(format!("127.0.0.{}", 71 + number));
        let layer = self.path(name);
        fs::create_dir(&layer).unwrap();
        let config = at.config(Path::new("/host_key"), Path::new("/user_key.pub"));
        let script = HOST.replace(
            "hostname \"$name\"",
            &format!("cp {0}/host_key {0}/user_key.pub .\nhostname \"$name\"", self.folder.path().display()),
        );
        let log = File::create(self.path(&format!("{name}.log"))).unwrap();
        let child = Command::new("unshare")
            .args(["--mount", "--uts", "--propagation", "private", "sh", "-c", &script])
            .env("layer", &layer)
            .env("name", name)
            .env("config", config)
            .env("units", workspace().join("packaging/systemd"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("unshare: install util-linux");
        self.running.push((name.to_owned(), child));
        self.ssh.reach(name, &at, &self.path(&format!("{name}.log")));
    }

    /// Who is what.
    pub(crate) fn inventory(&self, nodes: &str, more: &str) {
        let programs = program("slurm-pki");
        let text = format!(
            "[slurm_head]\nhead\n[slurm_nodes]\n{nodes}\n[slurm_login]\nlogin1.example.org\n[all:vars]\n\
             ansible_python_interpreter=/usr/bin/python3\nansible_become=false\nslurm_pki_install=programs\nslurm_pki_source={}\n\
             slurm_pki_timers_start=false\nslurm_pki_node_options=true\n{more}\n",
            programs.parent().unwrap().display()
        );
        fs::write(self.path("inventory.ini"), text).unwrap();
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for (_, child) in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
        // ssh's shared connections end when their hosts do.
    }
}

impl Played {
    /// How many tasks changed something on a host.
    #[track_caller]
    pub(crate) fn changed(&self, host: &str) -> u32 {
        self.of(host)[0]
    }

    /// No task failed, and every host was reached.
    #[track_caller]
    pub(crate) fn went_well(self) -> Self {
        assert!(!self.recap.is_empty(), "{}", self.said);
        for (host, [_, failed, unreachable]) in &self.recap {
            assert_eq!((failed, unreachable), (&0, &0), "{host}:\n{}", self.said);
        }
        self
    }

    /// Who was played on.
    pub(crate) fn hosts(&self) -> Vec<&str> {
        self.recap.iter().map(|(host, _)| host.as_str()).collect()
    }

    #[track_caller]
    fn of(&self, host: &str) -> [u32; 3] {
        self.recap.iter().find(|(name, _)| name == host).unwrap_or_else(|| panic!("{host}: {}", self.said)).1
    }
}

/// `n1 : ok=9 changed=3 unreachable=0 failed=0 ...` below PLAY RECAP.
fn recap(said: &str) -> Vec<(String, [u32; 3])> {
    let Some((_, recap)) = said.split_once("PLAY RECAP") else { return Vec::new() };
    let count = |line: &str, what: &str| {
        let word = line.split_whitespace().find_map(|word| word.strip_prefix(what)?.strip_prefix('='));
        word.and_then(|word| word.parse().ok())
    };
    let line = |line: &str| {
        let host = line.split_once(" : ")?.0.trim().to_owned();
        Some((host, [count(line, "changed")?, count(line, "failed")?, count(line, "unreachable")?]))
    };
    recap.lines().filter_map(line).collect()
}

/// Every file below a folder.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    support::site::files_below(folder).into_iter().map(|(path, _)| path).collect()
}
