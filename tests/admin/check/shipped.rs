//! The example that is shipped has no trap in it.

use support::programs::workspace;

use crate::healthy::{Healthy, Look};

#[test]
fn the_shipped_slurm_conf_lacks_nothing_but_what_is_not_installed_here() {
    let well = Healthy::new();
    let example = std::fs::read_to_string(workspace().join("config/slurm.conf.example")).unwrap();
    let plugins = well.site.text_path("plugins");
    well.site.slurm_conf(&format!("SlurmctldHost=h1\nPluginDir={plugins}\n{example}"));
    well.scontrol("", 0);
    let look = Look::of(&well.run(&["--json", "--only", "conf"]));
    let codes: Vec<&str> = look.bad().iter().map(|(code, ..)| *code).collect();
    // The programs and files of its default paths are not those of this scratch site.
    assert!(codes.iter().all(|code| ["script-run", "tls-file"].contains(code)), "{:?}", look.bad());
    assert!(look.has("period") && look.has("tls-path") && look.has("certgen"));
}
