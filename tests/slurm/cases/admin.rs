//! What slurm-pki makes of Slurm's own config and state, judged by Slurm: `conf enable` and `disable`, `check`.

use std::fs;
use std::process::Output;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::enrolment::enrols;
use crate::cluster::Cluster;
use crate::conf::Conf;
use crate::lab::{Lab, User};
use crate::shell::{outcome, said};
use crate::site;
use crate::table::Table;

const SLURM_CONF: &str = "/etc/slurm/slurm.conf";
const PLUGIN: &str = "tls_s2n.so";

/// Included by slurm.conf, with a key that conf enable changes.
const INCLUDED: &str = "/etc/slurm/logging_suite.inc";
const LOGGING: &str = "# for the people of the helpdesk\n\tdebugflags = Agent,\\  # and \\\nSteps";

/// One after the other: each goes on where the one before it ended.
pub(super) fn run(table: &mut Table, lab: &Lab) {
    let (mut before, mut edited) = (String::new(), String::new());
    if !lab.has_plugin(PLUGIN) {
        table.run("conf enable refuses on a Slurm without tls_s2n.so, and names it", || {
            before = start_over(lab)?;
            refuses_without_the_plugin(lab, &before)
        });
    }
    table.run("conf enable --offline edits slurm.conf, and a second time changes nothing", || {
        before = start_over(lab)?;
        edited = enable(lab)?;
        Ok(())
    });
    if !lab.has_plugin(PLUGIN) {
        table.run("check finds that this Slurm lacks tls_s2n.so", || {
            let found = findings(&slurm_pki(lab, &CHECK)?)?;
            let found = of(&found, "critical");
            ensure!(found.iter().any(|finding| finding.to_string().contains(PLUGIN)), "{found:?}");
            Ok(())
        });
    }
    let mut cluster = None;
    table.run("slurmctld starts on the edited slurm.conf, and a node enrols", || {
        let up = cluster.insert(starts(lab, &edited)?);
        site::enrol(up, "e1", &[])?;
        enrols(up, "e1").map(drop)
    });
    table.run("slurmctld has what was there merged with what conf enable put in", || {
        merged(cluster.as_ref().context("slurmctld is not running")?)
    });
    table.run("conf disable refuses while slurmctld runs", || {
        let running = cluster.as_ref().context("slurmctld is not running")?;
        refuses_while_it_runs(running)
    });
    table.run(
        "check on a running cluster asks slurmctld, rehearses, and finds nothing but TLS that is off",
        || {
            let running = cluster.as_ref().context("slurmctld is not running")?;
            check(running)
        },
    );
    if let Some(primary) = cluster.take().and_then(|mut cluster| cluster.primary.take()) {
        table.run("conf disable gives slurm.conf back byte for byte", || {
            primary.stop()?;
            fs::write(lab.path(SLURM_CONF), &edited)?;
            disable(lab, &before)
        });
    }
}

/// A slurm.conf from before slurm-pki, which many hands have written.
fn start_over(lab: &Lab) -> Result<String> {
    Conf { certmgr: false, ..Conf::default() }.write(lab)?;
    fs::write(lab.path(INCLUDED), LOGGING)?;
    let worn = [
        ("DebugFlags=AuditTLS\n", "Include logging_%c.inc # DebugFlags=Script\n"),
        ("SlurmUser=slurm\n", "SlurmUser = slurm\t# since 2012 \\\n"),
        (
            "MailProg=/bin/true\n",
            "mailprog=\"/bin/true\"\n#TLSType=none\nTLSParameters=ca_cert_file=/old.pem\n",
        ),
        ("Default=YES State=UP", "Default=YES \\ # what most people want\n\tState=UP"),
    ];
    let mut text = lab.text(SLURM_CONF)?;
    for (plain, worn) in worn {
        ensure!(text.contains(plain), "no {plain:?} in\n{text}");
        text = text.replace(plain, worn);
    }
    text += "CertmgrParameters=certificate_renewal_period=720,sign_csr_script=/opt/site/sign\n\
             TLSParameters=security_policy_version=20230317,ctld_cert_file=/old/ctld.pem";
    let text = text.replace('\n', "\r\n");
    fs::write(lab.path(SLURM_CONF), &text)?;
    Ok(text)
}

fn slurm_pki(lab: &Lab, arguments: &[&str]) -> Result<Output> {
    outcome(lab.command("/slurm-pki/bin/slurm-pki", User::Root).args(arguments))
}

fn must(lab: &Lab, arguments: &[&str]) -> Result<String> {
    let output = slurm_pki(lab, arguments)?;
    ensure!(output.status.success(), "slurm-pki {arguments:?}: {}", said(&output));
    Ok(said(&output))
}

fn refuses_without_the_plugin(lab: &Lab, before: &str) -> Result<()> {
    let output = slurm_pki(lab, &["conf", "enable", "--yes"])?;
    ensure!(output.status.code() == Some(1), "{}", said(&output));
    ensure!(said(&output).contains(PLUGIN), "{}", said(&output));
    ensure!(lab.text(SLURM_CONF)? == before, "slurm.conf was changed all the same");
    Ok(())
}

fn enable(lab: &Lab) -> Result<String> {
    must(lab, &["conf", "enable", "--offline", "--yes"])?;
    let edited = lab.text(SLURM_CONF)?;
    for line in ["TLSType=tls/s2n", "CertmgrType=certmgr/script", "sign_csr_script=/slurm-pki/bin/sign_csr"] {
        ensure!(edited.contains(line), "no {line} in\n{edited}");
    }
    must(lab, &["conf", "enable", "--offline", "--yes"])?;
    ensure!(lab.text(SLURM_CONF)? == edited, "a second run changed something");
    Ok(edited)
}

/// Without a plugin for it, Slurm takes the file with the TLSType line taken out.
fn starts<'a>(lab: &'a Lab, edited: &str) -> Result<Cluster<'a>> {
    if !lab.has_plugin(PLUGIN) {
        let kept = edited.split_inclusive('\n').filter(|line| !line.starts_with("TLSType="));
        fs::write(lab.path(SLURM_CONF), kept.collect::<String>())?;
    }
    Cluster::up_on_what_is_there(lab, false)
}

/// The last of two lines counts, in whatever file.
fn merged(cluster: &Cluster<'_>) -> Result<()> {
    let shown = cluster.slurm("scontrol", &["show", "config"])?;
    let value = |key: &str| {
        let line = shown.lines().find(|line| line.split(" = ").next().is_some_and(|is| is.trim() == key));
        line.and_then(|line| line.split_once(" = ")).map(|(_, value)| value.trim()).unwrap_or_default()
    };
    for (key, wanted) in [
        ("DebugFlags", &["Agent", "AuditTLS", "Steps"][..]),
        ("CertmgrParameters", &["certificate_renewal_period=720", "sign_csr_script=/slurm-pki/bin/sign_csr"]),
        ("TLSParameters", &["security_policy_version=20230317", "ctld_cert_file=/etc/slurm/ctld_cert.pem"]),
    ] {
        for item in wanted {
            ensure!(value(key).split(',').any(|is| is == *item), "{key} = {}, not {item}", value(key));
        }
        ensure!(!value(key).contains("/o"), "{key} = {}", value(key));
    }
    Ok(())
}

fn refuses_while_it_runs(cluster: &Cluster<'_>) -> Result<()> {
    let before = cluster.lab.text(SLURM_CONF)?;
    let output = cluster.slurm_pki_outcome(&["conf", "disable", "--yes"])?;
    ensure!(output.status.code() == Some(1) && said(&output).contains("slurmctld"), "{}", said(&output));
    ensure!(cluster.lab.text(SLURM_CONF)? == before, "slurm.conf was changed all the same");
    Ok(())
}

const CHECK: [&str; 5] = ["check", "--only", "conf,rehearsal", "--json", "--all"];

fn check(cluster: &Cluster<'_>) -> Result<()> {
    let found = findings(&cluster.slurm_pki_outcome(&CHECK)?)?;
    for severity in ["unknown", "critical"] {
        ensure!(of(&found, severity).is_empty(), "{severity}: {:?}", of(&found, severity));
    }
    let mut warnings = of(&found, "warning");
    if !cluster.lab.has_plugin(PLUGIN) {
        warnings.retain(|finding| finding.get("code").is_none_or(|code| code != "tls-off"));
    }
    ensure!(warnings.is_empty(), "{warnings:?}");
    for code in ["slurm-version", "rehearsal"] {
        let is_it = |finding: &&Value| finding.get("code").is_some_and(|is| is == code);
        ensure!(of(&found, "ok").into_iter().any(|finding| is_it(&finding)), "no {code} in {found:?}");
    }
    Ok(())
}

fn findings(output: &Output) -> Result<Vec<Value>> {
    let document: Value = serde_json::from_slice(&output.stdout).with_context(|| said(output))?;
    let findings = document.pointer("/data/findings").and_then(Value::as_array);
    findings.cloned().with_context(|| format!("no findings: {document}"))
}

fn of<'a>(findings: &'a [Value], severity: &str) -> Vec<&'a Value> {
    findings.iter().filter(|finding| finding.get("severity").is_some_and(|is| is == severity)).collect()
}

fn disable(lab: &Lab, before: &str) -> Result<()> {
    must(lab, &["conf", "disable", "--yes"])?;
    let after = lab.text(SLURM_CONF)?;
    ensure!(after == before, "before:\n{before}\nafter:\n{after}");
    let included = lab.text(INCLUDED)?;
    ensure!(included == LOGGING, "{INCLUDED} is {included:?}");
    Ok(())
}
