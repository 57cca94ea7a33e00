# Makes roc.json: DeLong's intervals and paired test by R's pROC, and a BCa interval by R's boot.
#
#     apt-get install r-base-core r-cran-proc r-cran-boot r-cran-jsonlite
#     Rscript tests/golden/make_roc.R > tests/golden/roc.json
#
# Scores are rounded so that there are ties. The values that boot drew are kept, with its influence values, so that
# only the intervals are compared and not random numbers.

suppressMessages({library(pROC); library(boot); library(jsonlite)})
set.seed(20261128)
n <- 240
truth <- rbinom(n, 1, 0.2)
common <- rnorm(n)
a <- round(1.3 * truth + 0.8 * common + 0.6 * rnorm(n), 1)
b <- round(0.7 * truth + 0.8 * common + 0.6 * rnorm(n), 1)
of <- function(score) roc(truth, score, levels = c(0, 1), direction = "<")
delong <- function(score, level) as.numeric(ci.auc(of(score), conf.level = level, method = "delong"))[c(1, 3)]
test <- roc.test(of(a), of(b), method = "delong", paired = TRUE)

mean_ratio <- function(rows, which) mean(rows$x[which]) / mean(rows$y[which])
rows <- data.frame(x = rexp(30), y = 1 + rexp(30))
drawn <- boot(rows, function(d, which) mean_ratio(d, which), R = 1999)
weighted <- boot(rows, function(d, w) sum(d$x * w) / sum(d$y * w), R = 9, stype = "w")
influence <- empinf(weighted)
intervals <- boot.ci(drawn, conf = c(0.9, 0.95), type = c("basic", "perc", "bca"), L = influence)
ends <- function(of) of[, (ncol(of) - 1):ncol(of)]
cat(toJSON(list(
  made_with = paste(R.version.string, "pROC", packageVersion("pROC"), "boot", packageVersion("boot")),
  truth = truth, a = a, b = b,
  auc = c(as.numeric(auc(of(a))), as.numeric(auc(of(b)))),
  variance = c(var(of(a), method = "delong"), var(of(b), method = "delong")),
  covariance = cov(of(a), of(b), method = "delong"),
  interval_95 = rbind(delong(a, 0.95), delong(b, 0.95)),
  interval_90 = rbind(delong(a, 0.9), delong(b, 0.9)),
  z = as.numeric(test$statistic), p = test$p.value,
  value = drawn$t0, values = as.numeric(drawn$t), influence = as.numeric(influence) / 30,
  basic = ends(intervals$basic), percentile = ends(intervals$percent), bca = ends(intervals$bca)
), digits = NA, auto_unbox = TRUE))
cat("\n")
