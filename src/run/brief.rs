//! The part of a manifest that a list of many runs needs: what is long is passed over.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::manifest::{Kind, Manifest, Results, State, Summary, Tags, Tool, Verdict};
use super::{Cell, Score, finite, model};

/// What a run is, in short.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Brief {
    /// The version of the archive's format.
    pub schema_version: u32,
    /// The identifier.
    pub id: String,
    /// Which subcommand made it.
    pub kind: Kind,
    /// The campaign that it is a cell of.
    #[serde(default)]
    pub campaign: Option<String>,
    /// That cell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cell: Option<Cell>,
    /// How far it got.
    pub state: State,
    /// Whether results were found.
    pub results: Results,
    /// When the recording began.
    pub started: Timestamp,
    /// When it ended.
    #[serde(default)]
    pub ended: Option<Timestamp>,
    /// What the user says about it.
    #[serde(default)]
    pub tags: Tags,
    /// The tool.
    pub tool: Tool,
    /// The models.
    #[serde(default)]
    pub models: Vec<Named>,
    /// What computes.
    #[serde(default)]
    pub backend: Option<String>,
    /// The figures.
    #[serde(default, serialize_with = "finite::write_list", deserialize_with = "finite::list")]
    pub summary: Vec<Summary>,
    /// What an eval scored.
    #[serde(
        default,
        skip_serializing_if = "finite::is_empty",
        serialize_with = "finite::write_list",
        deserialize_with = "finite::list"
    )]
    pub scores: Vec<Score>,
    /// What they are worth.
    #[serde(default)]
    pub verdict: Option<Verdict>,
}

/// What a model is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// What its metadata or its server call it.
    pub name: String,
    /// Its file; empty if nobody knows it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub file: String,
    /// How the command names it where that is no file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

impl Named {
    /// What it is called everywhere.
    pub fn title(&self) -> String {
        model::title(&self.name, &self.file, self.reference.as_deref())
    }

    /// Whether it is meant by a part of a name, in small letters.
    pub fn is_meant_by(&self, part: &str) -> bool {
        model::is_meant_by(&self.name, &self.file, self.reference.as_deref(), part)
    }
}

impl From<&Manifest> for Brief {
    fn from(manifest: &Manifest) -> Self {
        let named = |model: &super::manifest::Model| Named {
            name: model.name.clone(),
            file: model.file.clone(),
            reference: model.reference.clone(),
        };
        Self {
            schema_version: manifest.schema_version,
            id: manifest.id.clone(),
            kind: manifest.kind,
            campaign: manifest.campaign.clone(),
            cell: manifest.cell.clone(),
            state: manifest.state,
            results: manifest.results,
            started: manifest.started,
            ended: manifest.ended,
            tags: manifest.tags.clone(),
            tool: manifest.tool.clone(),
            models: manifest.models.iter().map(named).collect(),
            backend: manifest.backend.clone(),
            summary: manifest.summary.clone(),
            scores: manifest.scores.clone(),
            verdict: manifest.verdict.clone(),
        }
    }
}
