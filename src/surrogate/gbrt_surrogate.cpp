#include "surrogate/gbrt_surrogate.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/random.hpp"
#include "surrogate/error_metrics_file.hpp"
#include "surrogate/gbrt_fit.hpp"
#include "surrogate/validation.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <omp.h>
#include <utility>

namespace hdap::surrogate {
namespace {

/// [candidate]: its fold.
std::vector<std::size_t> deal_folds(std::size_t candidates, std::size_t folds, std::uint64_t seed) {
    core::RandomStream stream(seed, core::StreamId::surrogate_split);
    const std::vector<std::size_t> order = stream.permutation(candidates);
    std::vector<std::size_t> fold(candidates);
    for (std::size_t i = 0; i < candidates; ++i)
        fold[order[i]] = i % folds;
    return fold;
}

/// A profile in the precision of the forests.
struct TrainingData {
    explicit TrainingData(const fleet::Profile& source, int threads)
        : profile(source), features(keep_ratios(source.genomes, source.genomes.front(), threads)) {
        for (std::size_t k = 0; k < source.clusters; ++k) {
            std::vector<float>& ratios = targets.emplace_back();
            for (const double latency : of_cluster(source.latency_ms, k))
                ratios.push_back(static_cast<float>(latency / source.unpruned_latency_ms(k)));
        }
    }

    [[nodiscard]] std::span<const float> row(std::size_t candidate) const {
        return std::span(features).subspan(candidate * profile.genes(), profile.genes());
    }

    /// One cluster's part of `values`, [cluster][candidate].
    template <class T>
    [[nodiscard]] std::span<T> of_cluster(std::vector<T>& values, std::size_t cluster) const {
        return std::span(values).subspan(cluster * profile.candidates(), profile.candidates());
    }
    template <class T>
    [[nodiscard]] std::span<const T> of_cluster(const std::vector<T>& values,
                                                std::size_t cluster) const {
        return std::span(values).subspan(cluster * profile.candidates(), profile.candidates());
    }

    const fleet::Profile& profile;
    std::vector<float> features;             ///< [candidate][gene] keep ratios
    std::vector<std::vector<float>> targets; ///< [cluster][candidate] relative latencies
};

void check_validation(const fleet::Profile& profile, std::int64_t folds, int threads) {
    check_folds_and_threads(folds, threads);
    if (profile.candidates() < 2)
        throw core::DataError("cross-validation needs at least 2 candidates, the profile has 1");
}

Forest fit_all(const TrainingData& data, const GbrtParameters& parameters, std::size_t cluster) {
    return fit_gbrt(data.features, data.profile.candidates(), data.profile.genes(),
                    data.targets[cluster], parameters);
}

/// Predicts, in ms, the candidates of one fold by a forest fitted to all others.
void predict_fold(const TrainingData& data, const GbrtParameters& parameters, std::size_t cluster,
                  const std::vector<std::size_t>& fold_of, std::size_t fold,
                  std::span<double> predicted_ms) {
    std::vector<float> features;
    std::vector<float> targets;
    for (std::size_t i = 0; i < fold_of.size(); ++i) {
        if (fold_of[i] == fold) continue;
        features.insert(features.end(), data.row(i).begin(), data.row(i).end());
        targets.push_back(data.targets[cluster][i]);
    }
    const Forest forest =
        fit_gbrt(features, targets.size(), data.profile.genes(), targets, parameters);
    for (std::size_t i = 0; i < fold_of.size(); ++i)
        if (fold_of[i] == fold)
            predicted_ms[i] = static_cast<double>(predict_reference(forest, data.row(i))) *
                              data.profile.unpruned_latency_ms(cluster);
}

/// Runs task(0) … task(count − 1) on several threads and rethrows the exception of the lowest one
/// that failed. An exception must not leave an OpenMP region. In its region each task is thread 0:
/// XGBoost 3 with one thread keeps an array of one, and takes what omp_get_thread_num() says there.
template <class Task>
void run_in_parallel(std::size_t count, int threads, Task task) {
    std::vector<std::exception_ptr> failures(count);
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
    for (std::size_t i = 0; i < count; ++i) {
#pragma omp parallel num_threads(1)
        try {
            task(i);
        } catch (...) {
            failures[i] = std::current_exception();
        }
    }
    for (const std::exception_ptr& failure : failures)
        if (failure) std::rethrow_exception(failure);
}

/// The arrays of a file of surrogates: all clusters' forests one after the other.
struct FlatForests {
    std::vector<float> base_score;   ///< [cluster]
    std::vector<std::int64_t> trees; ///< [cluster]
    std::vector<std::int64_t> nodes; ///< [tree]
    std::vector<std::int32_t> feature;
    std::vector<float> threshold;
    std::vector<std::int32_t> left;
    std::vector<std::int32_t> right;
    std::vector<float> value;
};

template <class T>
void append(std::vector<T>& all, const std::vector<T>& more) {
    all.insert(all.end(), more.begin(), more.end());
}

template <class T>
std::vector<T> slice(const std::vector<T>& all, std::size_t first, std::size_t count) {
    const auto begin = all.begin() + static_cast<std::ptrdiff_t>(first);
    return {begin, begin + static_cast<std::ptrdiff_t>(count)};
}

FlatForests flatten(const std::vector<Forest>& forests) {
    FlatForests flat;
    for (const Forest& forest : forests) {
        flat.base_score.push_back(forest.base_score);
        flat.trees.push_back(static_cast<std::int64_t>(forest.trees()));
        for (std::size_t tree = 0; tree < forest.trees(); ++tree)
            flat.nodes.push_back(forest.tree_begin[tree + 1] - forest.tree_begin[tree]);
        append(flat.feature, forest.feature);
        append(flat.threshold, forest.threshold);
        append(flat.left, forest.left);
        append(flat.right, forest.right);
        append(flat.value, forest.value);
    }
    return flat;
}

/// Checks that `count` more things after the first `taken` are there, of `available` in all.
std::size_t take(const storage::Hdf5Reader& file, const std::string& path, std::size_t place,
                 std::int64_t count, std::size_t taken, std::size_t available) {
    if (count < 0 || static_cast<std::uint64_t>(count) > available - taken)
        throw core::DataError(
            fmt::format("{}: {}[{}] is {}, expected 0 to {}, which is what is left of {}",
                        file.name(), path, place, count, available - taken, available));
    return static_cast<std::size_t>(count);
}

FlatForests read_flat(const storage::Hdf5Reader& file, const std::string& prefix) {
    const std::string at = prefix + "/forests/";
    FlatForests flat;
    flat.base_score = file.read<float>(at + "base_score");
    flat.trees = file.read<std::int64_t>(at + "trees", {flat.base_score.size()});
    flat.nodes = file.read<std::int64_t>(at + "nodes");
    flat.feature = file.read<std::int32_t>(at + "feature");
    const storage::Shape nodes{flat.feature.size()};
    flat.threshold = file.read<float>(at + "threshold", nodes);
    flat.left = file.read<std::int32_t>(at + "left", nodes);
    flat.right = file.read<std::int32_t>(at + "right", nodes);
    flat.value = file.read<float>(at + "value", nodes);
    return flat;
}

std::size_t read_genes(const storage::Hdf5Reader& file, const std::string& prefix) {
    constexpr std::int64_t most = 1'000'000;
    const std::int64_t genes = file.attribute_int(prefix + "/forests", "genes");
    if (genes < 1 || genes > most)
        throw core::DataError(fmt::format("{}: {}/forests has {} genes, expected 1 to {}",
                                          file.name(), prefix, genes, most));
    return static_cast<std::size_t>(genes);
}

std::vector<Forest> split(const storage::Hdf5Reader& file, const std::string& prefix,
                          const FlatForests& flat, std::size_t genes) {
    std::vector<Forest> forests;
    std::size_t first_tree = 0;
    std::size_t first_node = 0;
    for (std::size_t k = 0; k < flat.trees.size(); ++k) {
        const std::size_t trees =
            take(file, prefix + "/forests/trees", k, flat.trees[k], first_tree, flat.nodes.size());
        std::vector<std::int64_t> tree_begin{0};
        std::size_t nodes = 0;
        for (std::size_t tree = first_tree; tree < first_tree + trees; ++tree) {
            nodes += take(file, prefix + "/forests/nodes", tree, flat.nodes[tree],
                          first_node + nodes, flat.feature.size());
            tree_begin.push_back(static_cast<std::int64_t>(nodes));
        }
        Forest forest{.columns = genes,
                      .base_score = flat.base_score[k],
                      .tree_begin = std::move(tree_begin),
                      .feature = slice(flat.feature, first_node, nodes),
                      .threshold = slice(flat.threshold, first_node, nodes),
                      .left = slice(flat.left, first_node, nodes),
                      .right = slice(flat.right, first_node, nodes),
                      .value = slice(flat.value, first_node, nodes)};
        check_forest(forest, fmt::format("{}: {}{}cluster {}", file.name(), prefix,
                                         prefix.empty() ? "" : ", ", k));
        forests.push_back(std::move(forest));
        first_tree += trees;
        first_node += nodes;
    }
    if (first_tree != flat.nodes.size() || first_node != flat.feature.size())
        throw core::DataError(fmt::format(
            "{}: {}/forests holds {} trees and {} nodes, but its clusters only have {} and {}",
            file.name(), prefix, flat.nodes.size(), flat.feature.size(), first_tree, first_node));
    return forests;
}

} // namespace

std::vector<float> keep_ratios(std::span<const network::Genome> genomes,
                               std::span<const std::int32_t> unpruned_channels, int threads) {
    const std::size_t genes = unpruned_channels.size();
    std::vector<float> ratios(genomes.size() * genes);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (std::size_t i = 0; i < genomes.size(); ++i)
        for (std::size_t gene = 0; gene < genes; ++gene)
            ratios[i * genes + gene] =
                static_cast<float>(static_cast<double>(genomes[i][gene]) /
                                   static_cast<double>(unpruned_channels[gene]));
    return ratios;
}

GbrtSurrogate::GbrtSurrogate(GbrtParts parts)
    : kernel_(std::move(parts.forests)), unpruned_latency_ms_(std::move(parts.unpruned_latency_ms)),
      cross_validation_(std::move(parts.cross_validation)),
      group_names_(std::move(parts.group_names)),
      unpruned_channels_(std::move(parts.unpruned_channels)) {
    const std::size_t clusters = kernel_.forests().size();
    if (clusters == 0 || unpruned_latency_ms_.size() != clusters ||
        cross_validation_.size() != clusters)
        throw core::DataError(fmt::format(
            "surrogates need a forest, an unpruned latency and error metrics per cluster, not {}, "
            "{} and {}",
            clusters, unpruned_latency_ms_.size(), cross_validation_.size()));
    const std::size_t genes = kernel_.columns();
    if (group_names_.size() != genes || unpruned_channels_.size() != genes)
        throw core::DataError(
            fmt::format("the surrogates' forests have {} genes, but there are {} names and {} "
                        "channel counts of pruning groups",
                        genes, group_names_.size(), unpruned_channels_.size()));
    for (std::size_t k = 0; k < clusters; ++k)
        if (!std::isfinite(unpruned_latency_ms_[k]) || unpruned_latency_ms_[k] <= 0)
            throw core::DataError(
                fmt::format("unpruned_latency_ms[{}] is {}, expected a positive latency", k,
                            unpruned_latency_ms_[k]));
    for (std::size_t gene = 0; gene < genes; ++gene)
        if (unpruned_channels_[gene] < 1)
            throw core::DataError(fmt::format("unpruned_channels[{}] is {}, expected 1 or more",
                                              gene, unpruned_channels_[gene]));
}

void GbrtSurrogate::predict(std::span<const network::Genome> genomes, std::span<double> latency_ms,
                            int threads) const {
    if (threads < 1)
        throw core::ConfigError(fmt::format("predictions need 1 thread or more, not {}", threads));
    for (std::size_t i = 0; i < genomes.size(); ++i)
        if (genomes[i].size() != unpruned_channels_.size())
            throw core::DataError(fmt::format("genome {} has {} counts, the surrogates have {} "
                                              "pruning groups",
                                              i, genomes[i].size(), unpruned_channels_.size()));
    kernel_.predict(keep_ratios(genomes, unpruned_channels_, threads), genomes.size(),
                    unpruned_latency_ms_, latency_ms, threads);
}

void GbrtSurrogate::write(storage::Hdf5Writer& file, const std::string& prefix) const {
    const FlatForests flat = flatten(forests());
    file.write_strings(prefix + "/group_names", group_names_);
    file.write(prefix + "/unpruned_channels", unpruned_channels_);
    file.attribute(prefix + "/unpruned_channels", "unit", "channels");
    file.write(prefix + "/unpruned_latency_ms", unpruned_latency_ms_);
    file.attribute(prefix + "/unpruned_latency_ms", "unit", "ms");
    write_metrics(file, prefix, cross_validation_);
    file.write(prefix + "/forests/base_score", flat.base_score);
    file.write(prefix + "/forests/trees", flat.trees);
    file.write(prefix + "/forests/nodes", flat.nodes);
    file.write(prefix + "/forests/feature", flat.feature);
    file.write(prefix + "/forests/threshold", flat.threshold);
    file.write(prefix + "/forests/left", flat.left);
    file.write(prefix + "/forests/right", flat.right);
    file.write(prefix + "/forests/value", flat.value);
    file.attribute(prefix + "/forests", "genes",
                   static_cast<std::int64_t>(unpruned_channels_.size()));
}

std::unique_ptr<GbrtSurrogate> fit_gbrt_surrogate(const fleet::Profile& profile,
                                                  const GbrtParameters& parameters, int threads,
                                                  std::int64_t folds) {
    check_parameters(parameters);
    fleet::check_profile(profile, "the profile");
    check_validation(profile, folds, threads);
    if (threads == 0) threads = omp_get_max_threads();
    const TrainingData data(profile, threads);
    const std::size_t fold_count = std::min(static_cast<std::size_t>(folds), profile.candidates());
    const auto fold_of = fold_count == 0
                             ? std::vector<std::size_t>{}
                             : deal_folds(profile.candidates(), fold_count, parameters.seed);
    std::vector<Forest> forests(profile.clusters);
    std::vector<double> predicted_ms(profile.latency_ms.size());
    // All fits of all clusters at once, so that few clusters keep many threads busy.
    const std::size_t fits_per_cluster = fold_count + 1;
    run_in_parallel(profile.clusters * fits_per_cluster, threads, [&](std::size_t task) {
        const std::size_t cluster = task / fits_per_cluster;
        const std::size_t fold = task % fits_per_cluster;
        if (fold == fold_count)
            forests[cluster] = fit_all(data, parameters, cluster);
        else
            predict_fold(data, parameters, cluster, fold_of, fold,
                         data.of_cluster(predicted_ms, cluster));
    });
    GbrtParts parts{.forests = std::move(forests),
                    .unpruned_latency_ms = {},
                    .cross_validation = {},
                    .group_names = profile.group_names,
                    .unpruned_channels = profile.genomes.front()};
    for (std::size_t k = 0; k < profile.clusters; ++k) {
        parts.unpruned_latency_ms.push_back(profile.unpruned_latency_ms(k));
        parts.cross_validation.push_back(folds == 0
                                             ? unknown_errors()
                                             : error_metrics(data.of_cluster(profile.latency_ms, k),
                                                             data.of_cluster(predicted_ms, k)));
    }
    return std::make_unique<GbrtSurrogate>(std::move(parts));
}

std::unique_ptr<GbrtSurrogate> read_gbrt_surrogate(const storage::Hdf5Reader& file,
                                                   const std::string& prefix) {
    const FlatForests flat = read_flat(file, prefix);
    GbrtParts parts{.forests = split(file, prefix, flat, read_genes(file, prefix)),
                    .unpruned_latency_ms = {},
                    .cross_validation = {},
                    .group_names = file.read_strings(prefix + "/group_names"),
                    .unpruned_channels = file.read<std::int32_t>(prefix + "/unpruned_channels")};
    const std::size_t clusters = parts.forests.size();
    parts.unpruned_latency_ms = file.read<double>(prefix + "/unpruned_latency_ms", {clusters});
    parts.cross_validation = read_metrics(file, prefix, clusters);
    try {
        return std::make_unique<GbrtSurrogate>(std::move(parts));
    } catch (const core::DataError& error) {
        throw core::DataError(fmt::format("{}: {}", file.name(), error.what()));
    }
}

} // namespace hdap::surrogate
