//! The score card as one HTML file, without scripts and without other files.

use super::part::{escape, picture, png};
use super::{LabelledPicture, ScoreCard, chart, gain, percent, protocol_title};
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
            let gain = self.baseline(score).map_or(String::new(), |baseline| {
                let gain = gain(score, baseline);
                let class = if gain.starts_with('+') { "gain" } else { "gain loss" };
                let trained = score.protocol == "finetune";
                let than = if trained { "training from scratch" } else { "random weights" };
                format!(r#"<div class="{class}">{gain} over {than}</div>"#)
            });
            tiles += &format!(
                "<div class=\"tile\"><div class=\"what\">{}</div><div class=\"value\">{:.1}<small> %</small></div>\
                 <div class=\"what\">{}</div>{gain}</div>\n",
                protocol_title(&score.protocol),
                score.top1().mean,
                escape(&score.setting),
            );
        }
        format!("<div class=\"tiles\">\n{tiles}</div>\n")
    }

    fn protocols(&self) -> String {
        let compared = !self.baselines.is_empty();
        let heads = if compared {
            r#"<th class="number">random</th><th class="number">gain</th>"#
        } else {
            ""
        };
        let rows: String = self.scores.iter().map(|score| self.row(score, compared)).collect();
        let note = if compared {
            "Random: an encoder of the same shape with random weights, and, where the encoder is trained, \
             the same training from scratch. It is the mark on the bar."
        } else {
            "Percent of test images."
        };
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

    fn row(&self, score: &Score, compared: bool) -> String {
        let baseline = self.baseline(score);
        let mark = baseline.map_or(String::new(), |baseline| {
            format!(r#"<b style="left:{:.1}%"></b>"#, baseline.top1().mean)
        });
        let against = match baseline {
            Some(baseline) => format!(
                r#"<td class="number">{}</td><td class="number">{}</td>"#,
                percent(baseline),
                gain(score, baseline)
            ),
            None if compared => "<td></td><td></td>".into(),
            None => String::new(),
        };
        format!(
            "<tr><td class=\"protocol\">{}</td><td>{}</td><td class=\"drawn\"><span class=\"bar\"><i style=\"width:{:.1}%\"></i>{mark}</span></td>\
             <td class=\"number\"><strong>{}</strong></td>{against}<td class=\"number\">{:.2}</td><td class=\"number\">{:.1}</td></tr>\n",
            protocol_title(&score.protocol),
            escape(&score.setting),
            score.top1().mean,
            percent(score),
            score.top5().mean,
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
        let Some(score) = self.scores.first() else { return String::new() };
        let matrix = &score.results[0].confusion;
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
