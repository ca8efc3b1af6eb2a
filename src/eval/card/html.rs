//! The score card as one HTML file, without scripts and without other files.

use super::part::{escape, picture, png};
use super::{LabelledPicture, ScoreCard, chart, gain, protocol_title, rival, top5, value};
use crate::error::Result;
use crate::eval::Score;

const STYLE: &str = include_str!("style.css");

impl ScoreCard {
    /// The page.
    ///
    /// # Errors
    ///
    /// When a picture cannot be encoded.
    pub fn to_html(&self) -> Result<String> {
        let title = escape(&self.encoder);
        let sections = [
            self.protocols(),
            self.curves(),
            self.confusion(),
            self.reconstruction(),
            self.neighbor_rows()?,
            self.configuration(),
        ];
        Ok(format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>Score card: {title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
             <h1>{title}</h1>\n<p class=\"lead\">{}</p>\n{}{}</main>\n</body>\n</html>\n",
            escape(&self.data),
            self.tiles(),
            sections.concat()
        ))
    }

    /// The first score of every protocol, large.
    fn tiles(&self) -> String {
        let mut tiles = String::new();
        let mut shown: Vec<&str> = Vec::new();
        for score in &self.scores {
            if shown.contains(&score.protocol.as_str()) || score.protocol == "partial" {
                continue;
            }
            shown.push(&score.protocol);
            let gain = self.best(score).map_or(String::new(), |baseline| {
                let gain = gain(score, baseline);
                let above = gain.starts_with('+');
                let (class, over) = if above { ("gain", "over") } else { ("gain loss", "against") };
                let than = escape(&rival(baseline));
                format!(r#"<div class="{class}">{gain} {over} {than}</div>"#)
            });
            tiles += &format!(
                "<div class=\"tile\"><div class=\"what\">{}</div><div class=\"value\">{:.1}<small> {}</small></div>\
                 <div class=\"what\">{}</div>{gain}</div>\n",
                protocol_title(&score.protocol),
                score.summary().mean,
                escape(score.measure.strip_prefix("top-1 ").unwrap_or(&score.measure)),
                escape(&score.setting),
            );
        }
        format!("<div class=\"tiles\">\n{tiles}</div>\n")
    }

    fn protocols(&self) -> String {
        let names = self.baseline_names();
        let mut heads: String = names
            .iter()
            .map(|name| format!(r#"<th class="number">{}</th>"#, escape(name)))
            .collect();
        let note = if names.is_empty() {
            "Percent of test images."
        } else {
            heads += r#"<th class="number">gain</th>"#;
            "Beside the encoder: its shape with random weights (where the encoder is trained, the same \
             training from scratch), and features that nobody trained. The gain is over the best \
             baseline of the same protocol at any setting, which is the mark on the bar."
        };
        let rows: String = self.scores.iter().map(|score| self.row(score, &names)).collect();
        section(
            "Protocols",
            note,
            &format!(
                "<div class=\"wide\"><table><thead><tr><th>protocol</th><th>setting</th><th class=\"drawn\"></th>\
                 <th class=\"number\">top-1 %</th>{heads}<th class=\"number\">top-5 %</th>\
                 <th class=\"number\">seconds</th></tr></thead><tbody>\n{rows}</tbody></table></div>"
            ),
        )
    }

    fn row(&self, score: &Score, names: &[&str]) -> String {
        let number = |text: String| format!(r#"<td class="number">{}</td>"#, escape(&text));
        let best = self.best(score);
        let mark = best.map_or(String::new(), |best| {
            format!(r#"<b style="left:{:.1}%"></b>"#, best.summary().mean)
        });
        let mut against: String = names
            .iter()
            .map(|name| number(self.baseline(score, name).map_or(String::new(), value)))
            .collect();
        if !names.is_empty() {
            against += &number(best.map_or(String::new(), |best| gain(score, best)));
        }
        // What is no share of 100 has no bar.
        let bar = if score.measure.ends_with('%') {
            let width = score.summary().mean;
            format!("<span class=\"bar\"><i style=\"width:{width:.1}%\"></i>{mark}</span>")
        } else {
            String::new()
        };
        format!(
            "<tr><td class=\"protocol\">{}</td><td>{}</td><td class=\"drawn\">{bar}</td>\
             <td class=\"number\"><strong>{}</strong></td>{against}<td class=\"number\">{}</td><td class=\"number\">{:.1}</td></tr>\n",
            protocol_title(&score.protocol),
            escape(&score.setting),
            escape(&value(score)),
            top5(score),
            score.seconds
        )
    }

    fn curves(&self) -> String {
        let Some(history) = self.history.as_ref().filter(|history| !history.epochs.is_empty())
        else {
            return String::new();
        };
        let trivial = history.trivial_loss.map_or("", |_| {
            r#"<span><i style="border-color:var(--soft);border-top-style:dashed"></i>a predictor that does not look</span>"#
        });
        let legend = format!(
            r#"<div class="legend"><span><i style="border-color:var(--second)"></i>training</span><span><i style="border-color:var(--accent)"></i>validation</span>{trivial}</div>"#
        );
        let body = format!("{legend}\n{}", chart::losses(history));
        section("Learning curves", "Loss of pre-training, epoch by epoch.", &body)
    }

    fn confusion(&self) -> String {
        let Some((score, matrix)) = self.confusion_shown() else { return String::new() };
        let note = format!(
            "{}, {}: rows are the true classes, columns the predicted ones.",
            protocol_title(&score.protocol),
            score.setting
        );
        section("Confusion", &note, &chart::confusion(self, matrix))
    }

    fn reconstruction(&self) -> String {
        let Some(bytes) = &self.reconstructions else { return String::new() };
        let image = png(bytes, "images, what the encoder saw of them, and what was predicted");
        section(
            "Reconstructions",
            "What the pre-trained model predicts for hidden patches.",
            &format!("<div class=\"picture\">{image}</div>"),
        )
    }

    fn neighbor_rows(&self) -> Result<String> {
        if self.neighbors.is_empty() {
            return Ok(String::new());
        }
        let mut rows = String::new();
        for row in &self.neighbors {
            rows += "<div class=\"row\">";
            rows += &self.figure(&row.query, "", "test")?;
            for (found, similarity) in &row.found {
                let class = if found.label == row.query.label { "same" } else { "other" };
                rows += &self.figure(found, class, &format!("{similarity:.3}"))?;
            }
            rows += "</div>\n";
        }
        Ok(section(
            "Nearest neighbors",
            "Test images, and the training images most similar to them in the encoder's features, with \
             their cosine. Green: the same class.",
            &format!("<div class=\"neighbors\">\n{rows}</div>"),
        ))
    }

    fn figure(&self, image: &LabelledPicture, class: &str, note: &str) -> Result<String> {
        let name = self.class_name(image.label);
        Ok(format!(
            r#"<figure class="{class}">{}<figcaption>{}<br>{note}</figcaption></figure>"#,
            picture(&image.picture, &name)?,
            escape(&name)
        ))
    }

    fn configuration(&self) -> String {
        let Some(config) = &self.config else { return String::new() };
        let json = escape(&format!("{config:#}"));
        section(
            "Configuration",
            "",
            &format!(
                "<details><summary>How the encoder was trained</summary><pre>{json}</pre></details>"
            ),
        )
    }
}

fn section(title: &str, note: &str, body: &str) -> String {
    let note = match note {
        "" => String::new(),
        note => format!("<p class=\"note\">{}</p>\n", escape(note)),
    };
    format!("<section>\n<h2>{title}</h2>\n{note}{body}\n</section>\n")
}
