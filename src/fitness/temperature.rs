//! The temperature that a limit is held against: that of the hottest part of the processor.

use std::fmt;

use crate::metric::Sample;
use crate::source::Source;
use crate::source::shared::TEMPERATURE;

/// Parts that are no silicon: the skin follows minutes later, and is never the hottest.
const OTHERS: [&str; 1] = ["skin"];

/// The temperature of a part of the processor.
#[derive(Debug, Clone, PartialEq)]
pub struct Temperature {
    /// Who reported it: a PCI address, or `package`.
    pub device: String,
    /// The part, as `gfx` or `cpu_tctl`.
    pub sensor: String,
    /// Degrees Celsius, above 0.
    pub celsius: f64,
}

impl Temperature {
    /// The temperature that a sample tells, where it is one that matters.
    pub fn of(sample: &Sample) -> Option<Self> {
        let [device, sensor] = &*sample.labels else { return None };
        let matters =
            std::ptr::eq(sample.def, TEMPERATURE.def()) && !OTHERS.contains(&sensor.as_ref());
        matters.then(|| Self {
            device: device.to_string(),
            sensor: sensor.to_string(),
            celsius: sample.value,
        })
    }
}

impl fmt::Display for Temperature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:.1} °C ({} of {})", self.celsius, self.sensor, self.device)
    }
}

/// The hottest of the parts that matter.
pub fn hottest<'a>(samples: impl IntoIterator<Item = &'a Sample>) -> Option<Temperature> {
    let all = samples.into_iter().filter_map(Temperature::of);
    all.max_by(|a, b| a.celsius.total_cmp(&b.celsius))
}

/// Whether a source has temperatures that matter.
pub fn is_source(source: &Source) -> bool {
    source.metrics.iter().any(|def| std::ptr::eq(*def, TEMPERATURE.def()))
}
