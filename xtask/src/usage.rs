//! What `--help` prints, one text per command, each with an example that works as it stands.

/// `cargo xtask` and `cargo xtask --help`.
pub(crate) const ALL: &str = "\
usage: cargo xtask COMMAND

  build     build the release programs and lay them side by side in target/dist/bin
  demo      build, then let `slurm-pki demo` run a whole exchange with them
  slurm     build, then let a real Slurm run the programs
  vault     build, then run the tests of CA and records in Vault, on a stand-in or a live server
  test      everything that has to hold before a change is taken
  dist      the packages for Debian and for RHEL and kin, and what else a release consists of
  packages  installs, upgrades and removes what dist made, in Debian 12, sid and beside the rpm of EL 9
  bench     build, then measure what the programs cost, beside what they replace

cargo xtask COMMAND --help   what it does, its options, an example

exit codes: 0 done, 1 failed, 64 usage
";

/// `cargo xtask build --help`.
pub(crate) const BUILD: &str = "\
usage: cargo xtask build

Builds the seven programs that Slurm runs (release, static) and slurm-pki (release, dynamic), and lays stripped copies of
mode 0755 in target/dist/bin. The seven with their symbols are in target/dist/unstripped. When this machine lacks
something that the build needs, it is named with the package to install. CARGO_TARGET_DIR is respected. With
SLURM_PKI_PORTABLE=1 this and every other command builds slurm-pki and slurm-pki-signer as `cargo xtask dist` does, for an
older C library than this machine's.

example:
  cargo xtask build && ls -l target/dist/bin
";

/// `cargo xtask demo --help`.
pub(crate) const DEMO: &str = "\
usage: cargo xtask demo [ARGUMENTS OF slurm-pki demo]

`cargo xtask build`, then `slurm-pki demo` on the programs just built: certificates for a few nodes, each program run as
Slurm runs it. Exits as the demo does: 0 only when every check passed.

example:
  cargo xtask demo --nodes 'n[1-3]'
";

/// `cargo xtask slurm --help`.
pub(crate) const SLURM: &str = "\
usage: cargo xtask slurm [--packages]

`cargo xtask build`, then Slurm's own daemons and plugins run the programs: enrolments, renewals, refusals, a crowd of
nodes, a killed slurmctld, a second controller. Ends with a table of the cases, and with 0 only when all passed. Needs root
and debootstrap: Debian's Slurm is installed once into a folder of $XDG_CACHE_HOME, else /var/cache, below
slurm-pki-tests; only that uses the network. All of it runs in namespaces of its own and ends with them.

Debian's Slurm has no TLS. A Slurm that has tls_s2n.so is named by SLURM_PREFIX, the folder it was installed to; then the
same cases run on that one, and those with TLS too. SLURM_TLS_S2N names a tls_s2n.so alone, built for Debian's version of
Slurm: it is seen among Debian's plugins while the suite runs, and nowhere else.

  --packages   take the programs out of the .deb files that cargo xtask dist made, instead of building them

examples:
  cargo xtask slurm
  cargo xtask dist && cargo xtask slurm --packages
  SLURM_PREFIX=/opt/slurm cargo xtask slurm
  SLURM_TLS_S2N=/opt/tls_s2n.so cargo xtask slurm
";

/// `cargo xtask vault --help`.
pub(crate) const VAULT: &str = "\
usage: cargo xtask vault

`cargo xtask build`, then the suite below tests/in_vault: both programs and slurm-pki with CA and records in Vault, every
fault, every right; and the contract suite as it is for other sites, with both in Vault. Without VAULT_ADDR and VAULT_TOKEN it runs on the stand-in, as in `cargo xtask test`.

With both the same tests run on that server, which may be Vault or OpenBao, in development mode or not: VAULT_TOKEN is its
root token, VAULT_CACERT the CA of its listener where it has TLS, VAULT_NAMESPACE a namespace to stay in. Each test makes
its own engines, roles, policies and login methods, under names that begin with slurm-pki-test-, and takes them away at
its end; nothing else there is touched. What only the stand-in can do (turn its clock) is left out, by name. The token is
passed on in the environment, never as an argument. Take no server that anybody needs.

examples:
  cargo xtask vault
  bao server -dev -dev-root-token-id=root &
  VAULT_ADDR=http://127.0.0.1:8200 VAULT_TOKEN=root cargo xtask vault
";

/// `cargo xtask test --help`.
pub(crate) const TEST: &str = "\
usage: cargo xtask test [--only STEP]... [--no-skips] [--list]

Runs every step, whatever became of the ones before, and ends with a table of them. Exits with 0 only when none failed.

  --only STEP   this step alone, and the build when the step looks at the built programs; may be repeated
  --no-skips    a step that had to be skipped counts as failed
  --list        name the steps and stop

example:
  cargo xtask test --only fmt --only clippy
";

/// `cargo xtask bench --help`.
pub(crate) const BENCH: &str = "\
usage: cargo xtask bench [--only SECTION]... [--rounds N] [--quick] [--json FILE] [--svg FILE] [--into FILE]

`cargo xtask build`, then measures, and prints tables of medians, minima and ratios. No number makes it fail. It takes some
fifteen minutes and wants the machine for itself: at the end it says how quiet that was.

  --only SECTION   this section alone; may be repeated:
                   programs   each of the seven as a whole process, in turns with a static C program and a static Rust program
                              that do nothing, with the shell script that does the same by openssl, and with openssl, cfssl
                              and certtool where they are installed; instructions where valgrind is
                   client     key and certificate of a client command, by the rules of Slurm's script runner
                   tokens     a token among a hundred, ten thousand and a million enrolled nodes
                   sign       certificates per second, 1, 8 and 32 at once, and what a sync costs here
                   storm      ten thousand nodes boot at once; and they come again and again while the CA key is away
                   nodes      node add of ten thousand nodes
                   ledger     questions to a ledger of a million lines
                   vault      CA and records in Vault, by a stand-in that waits 20 ms before each answer
                   slurm      with a real slurmctld, ours and the scripts: 500 nodes boot at once, its answer time while the
                              signer refuses, a client command's key and certificate; root, with what `cargo xtask slurm` needs
  --rounds N       run each program N times instead of 300
  --quick          a little of everything, to see that it can be measured
  --json FILE      all figures as JSON (slurm-pki.bench.v1), times in the units that the captions name
  --svg FILE       the plot of the README
  --into FILE      put the tables between the marks of a Markdown file, as in BENCHMARKS.md

examples:
  cargo xtask bench --json bench.json --svg docs/cost.svg --into BENCHMARKS.md
  cargo xtask bench --only programs --rounds 50
";

/// `cargo xtask dist --help`.
pub(crate) const DIST: &str = "\
usage: cargo xtask dist [--target ARCHITECTURE] [--programs FOLDER] [--out FOLDER] [--revision N]

Makes four packages, slurm-pki-client, slurm-pki-node, slurm-pki-controller and slurm-pki, each as .deb and as .rpm, an archive
of all their files, a list of what is in the programs (CycloneDX) and SHA256SUMS, in target/dist/packages, and has lintian and
rpmlint judge them. What is in which package: docs/packages.md. The same commit
gives the same files.

  --target ARCHITECTURE   x86_64 (the default) or aarch64
  --programs FOLDER       take the programs that are built already and lie in this folder, such as target/debug: for trying
                          packages out, not for giving them away. What only a release needs is left out
  --out FOLDER            put everything there
  --revision N            the packages' own number behind the version: 1 unless said

examples:
  cargo xtask dist && ls target/dist/packages
  cargo xtask dist --programs target/debug --revision 2 --out target/dist/newer
";

/// `cargo xtask packages --help`.
pub(crate) const PACKAGES: &str = "\
usage: cargo xtask packages

Takes the packages that `cargo xtask dist` left in target/dist/packages, makes the same once more in a later version, and
installs, upgrades, removes and purges them, each time on a fresh system: Debian 12, Debian sid with its Slurm, and a system
with the rpm of EL 9. Ends with a table of the cases, and with 0 only when all passed. Needs root and debootstrap: the systems
are made once, in a folder of $XDG_CACHE_HOME, else /var/cache, below slurm-pki-tests; only that uses the network. All of it
runs in namespaces of its own and ends with them.

example:
  cargo xtask dist && cargo xtask packages
";
