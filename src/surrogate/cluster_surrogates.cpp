#include "hdap/surrogate/cluster_surrogates.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/random.hpp"
#include "hdap/core/text.hpp"

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

/// A cluster's latencies relative to its unpruned one, in the precision of the forests.
std::vector<float> targets_of(const Profile& profile, std::size_t cluster) {
    std::vector<float> targets(profile.candidates);
    for (std::size_t i = 0; i < profile.candidates; ++i)
        targets[i] = static_cast<float>(profile.latency_ms[cluster * profile.candidates + i] /
                                        profile.unpruned_latency_ms[cluster]);
    return targets;
}

std::span<const float> row(const Profile& profile, std::size_t candidate) {
    return std::span(profile.features).subspan(candidate * profile.genes, profile.genes);
}

/// One cluster's part of `values`, [cluster][candidate].
template <class T>
std::span<T> of_cluster(const Profile& profile, std::span<T> values, std::size_t cluster) {
    return values.subspan(cluster * profile.candidates, profile.candidates);
}

void check_validation(const Profile& profile, std::int64_t folds, int threads) {
    if (folds < 2)
        throw core::ConfigError("cross-validation needs at least 2 folds, not " +
                                std::to_string(folds));
    if (threads < 0)
        throw core::ConfigError("threads must be 0 (OpenMP's default) or more, not " +
                                std::to_string(threads));
    if (profile.candidates < 2)
        throw core::DataError("cross-validation needs at least 2 candidates, the profile has 1");
}

/// Predicts, in ms, the candidates of one fold by a forest fitted to all others.
void predict_fold(const Profile& profile, const GbrtParameters& parameters, std::size_t cluster,
                  const std::vector<std::size_t>& fold_of, std::size_t fold,
                  std::span<double> predicted_ms) {
    const std::vector<float> targets = targets_of(profile, cluster);
    std::vector<float> training;
    std::vector<float> training_targets;
    for (std::size_t i = 0; i < profile.candidates; ++i) {
        if (fold_of[i] == fold) continue;
        const std::span<const float> features = row(profile, i);
        training.insert(training.end(), features.begin(), features.end());
        training_targets.push_back(targets[i]);
    }
    const Forest forest =
        fit_gbrt(training, training_targets.size(), profile.genes, training_targets, parameters);
    for (std::size_t i = 0; i < profile.candidates; ++i) {
        if (fold_of[i] == fold)
            predicted_ms[i] = static_cast<double>(predict_reference(forest, row(profile, i))) *
                              profile.unpruned_latency_ms[cluster];
    }
}

/// Runs task(0) … task(count − 1) on several threads and rethrows the exception of the lowest one
/// that failed. An exception must not leave an OpenMP region.
template <class Task>
void run_in_parallel(std::size_t count, int threads, Task task) {
    std::vector<std::exception_ptr> failures(count);
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
    for (std::size_t i = 0; i < count; ++i) {
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
        throw core::DataError(file.name() + ": " + path + "[" + std::to_string(place) + "] is " +
                              std::to_string(count) + ", expected 0 to " +
                              std::to_string(available - taken) + ", which is what is left of " +
                              std::to_string(available));
    return static_cast<std::size_t>(count);
}

FlatForests read_flat(const storage::Hdf5Reader& file) {
    FlatForests flat;
    flat.base_score = file.read<float>("/forests/base_score");
    flat.trees = file.read<std::int64_t>("/forests/trees", {flat.base_score.size()});
    flat.nodes = file.read<std::int64_t>("/forests/nodes");
    flat.feature = file.read<std::int32_t>("/forests/feature");
    const storage::Shape nodes{flat.feature.size()};
    flat.threshold = file.read<float>("/forests/threshold", nodes);
    flat.left = file.read<std::int32_t>("/forests/left", nodes);
    flat.right = file.read<std::int32_t>("/forests/right", nodes);
    flat.value = file.read<float>("/forests/value", nodes);
    return flat;
}

std::size_t read_genes(const storage::Hdf5Reader& file) {
    constexpr std::int64_t most = 1'000'000;
    const std::int64_t genes = file.attribute_int("/forests", "genes");
    if (genes < 1 || genes > most)
        throw core::DataError(file.name() + ": /forests has " + std::to_string(genes) +
                              " genes, expected 1 to " + std::to_string(most));
    return static_cast<std::size_t>(genes);
}

std::vector<Forest> split(const storage::Hdf5Reader& file, const FlatForests& flat,
                          std::size_t genes) {
    std::vector<Forest> forests;
    std::size_t first_tree = 0;
    std::size_t first_node = 0;
    for (std::size_t k = 0; k < flat.trees.size(); ++k) {
        const std::size_t trees =
            take(file, "/forests/trees", k, flat.trees[k], first_tree, flat.nodes.size());
        std::vector<std::int64_t> tree_begin{0};
        std::size_t nodes = 0;
        for (std::size_t tree = first_tree; tree < first_tree + trees; ++tree) {
            nodes += take(file, "/forests/nodes", tree, flat.nodes[tree], first_node + nodes,
                          flat.feature.size());
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
        check_forest(forest, file.name() + ": cluster " + std::to_string(k));
        forests.push_back(std::move(forest));
        first_tree += trees;
        first_node += nodes;
    }
    if (first_tree != flat.nodes.size() || first_node != flat.feature.size())
        throw core::DataError(
            file.name() + ": /forests holds " + std::to_string(flat.nodes.size()) + " trees and " +
            std::to_string(flat.feature.size()) + " nodes, but its clusters only have " +
            std::to_string(first_tree) + " and " + std::to_string(first_node));
    return forests;
}

std::vector<ErrorFigures> read_figures(const storage::Hdf5Reader& file, std::size_t clusters) {
    const auto read = [&](const char* name) {
        return file.read<double>(std::string("/cross_validation/") + name, {clusters});
    };
    const std::vector<double> mape = read("mape");
    const std::vector<double> rmse = read("rmse_ms");
    const std::vector<double> r_squared = read("r_squared");
    const std::vector<double> tau = read("kendall_tau");
    std::vector<ErrorFigures> figures;
    for (std::size_t k = 0; k < clusters; ++k)
        figures.push_back(
            {.mape = mape[k], .rmse = rmse[k], .r_squared = r_squared[k], .kendall_tau = tau[k]});
    return figures;
}

void write_figures(storage::Hdf5Writer& file, const std::vector<ErrorFigures>& figures) {
    const auto write = [&](const char* name, double ErrorFigures::*member) {
        std::vector<double> values;
        for (const ErrorFigures& cluster : figures)
            values.push_back(cluster.*member);
        file.write(std::string("/cross_validation/") + name, values);
    };
    write("mape", &ErrorFigures::mape);
    write("rmse_ms", &ErrorFigures::rmse);
    file.attribute("/cross_validation/rmse_ms", "unit", "ms");
    write("r_squared", &ErrorFigures::r_squared);
    write("kendall_tau", &ErrorFigures::kendall_tau);
}

} // namespace

ClusterSurrogates::ClusterSurrogates(std::vector<Forest> forests,
                                     std::vector<double> unpruned_latency_ms,
                                     std::vector<ErrorFigures> cross_validation,
                                     std::vector<std::string> group_names)
    : kernel_(std::move(forests)), unpruned_latency_ms_(std::move(unpruned_latency_ms)),
      cross_validation_(std::move(cross_validation)), group_names_(std::move(group_names)) {
    if (clusters() == 0 || unpruned_latency_ms_.size() != clusters() ||
        cross_validation_.size() != clusters())
        throw core::DataError("surrogates need a forest, an unpruned latency and error figures "
                              "per cluster, not " +
                              std::to_string(clusters()) + ", " +
                              std::to_string(unpruned_latency_ms_.size()) + " and " +
                              std::to_string(cross_validation_.size()));
    if (!group_names_.empty() && group_names_.size() != genes())
        throw core::DataError("the surrogates' forests have " + std::to_string(genes()) +
                              " genes, but there are " + std::to_string(group_names_.size()) +
                              " names of pruning groups");
    for (std::size_t k = 0; k < clusters(); ++k) {
        if (!std::isfinite(unpruned_latency_ms_[k]) || unpruned_latency_ms_[k] <= 0)
            throw core::DataError("unpruned_latency_ms[" + std::to_string(k) + "] is " +
                                  core::shortest(unpruned_latency_ms_[k]) +
                                  ", expected a positive latency");
    }
}

void ClusterSurrogates::predict_ms(std::span<const float> features, std::size_t rows,
                                   std::span<double> latency_ms, int threads) const {
    kernel_.predict(features, rows, unpruned_latency_ms_, latency_ms, threads);
}

ClusterSurrogates fit_surrogates(const Profile& profile, const GbrtParameters& parameters,
                                 std::int64_t folds, int threads) {
    check_parameters(parameters);
    check_profile(profile, "the profile");
    check_validation(profile, folds, threads);
    const std::size_t fold_count = std::min(static_cast<std::size_t>(folds), profile.candidates);
    const std::vector<std::size_t> fold_of =
        deal_folds(profile.candidates, fold_count, parameters.seed);
    std::vector<Forest> forests(profile.clusters);
    std::vector<double> predicted_ms(profile.latency_ms.size());
    // All fits of all clusters at once, so that few clusters keep many threads busy.
    const std::size_t fits_a_cluster = fold_count + 1;
    const auto fit = [&](std::size_t task) {
        const std::size_t cluster = task / fits_a_cluster;
        const std::size_t fold = task % fits_a_cluster;
        if (fold == fold_count)
            forests[cluster] = fit_gbrt(profile.features, profile.candidates, profile.genes,
                                        targets_of(profile, cluster), parameters);
        else
            predict_fold(profile, parameters, cluster, fold_of, fold,
                         of_cluster<double>(profile, predicted_ms, cluster));
    };
    run_in_parallel(profile.clusters * fits_a_cluster,
                    threads == 0 ? omp_get_max_threads() : threads, fit);
    std::vector<ErrorFigures> cross_validation;
    for (std::size_t k = 0; k < profile.clusters; ++k)
        cross_validation.push_back(
            error_figures(of_cluster<const double>(profile, profile.latency_ms, k),
                          of_cluster<const double>(profile, predicted_ms, k)));
    return {std::move(forests), profile.unpruned_latency_ms, std::move(cross_validation),
            profile.group_names};
}

void write_surrogates(storage::Hdf5Writer& file, const ClusterSurrogates& surrogates) {
    const FlatForests flat = flatten(surrogates.forests());
    file.write_strings("/group_names", surrogates.group_names());
    file.write("/unpruned_latency_ms", surrogates.unpruned_latency_ms());
    file.attribute("/unpruned_latency_ms", "unit", "ms");
    write_figures(file, surrogates.cross_validation());
    file.write("/forests/base_score", flat.base_score);
    file.write("/forests/trees", flat.trees);
    file.write("/forests/nodes", flat.nodes);
    file.write("/forests/feature", flat.feature);
    file.write("/forests/threshold", flat.threshold);
    file.write("/forests/left", flat.left);
    file.write("/forests/right", flat.right);
    file.write("/forests/value", flat.value);
    file.attribute("/forests", "genes", static_cast<std::int64_t>(surrogates.genes()));
}

ClusterSurrogates read_surrogates(const storage::Hdf5Reader& file) {
    const FlatForests flat = read_flat(file);
    std::vector<Forest> forests = split(file, flat, read_genes(file));
    const std::size_t clusters = forests.size();
    try {
        return {std::move(forests), file.read<double>("/unpruned_latency_ms", {clusters}),
                read_figures(file, clusters), file.read_strings("/group_names")};
    } catch (const core::DataError& error) {
        const std::string message = error.what();
        const bool named = message.starts_with(file.name());
        throw core::DataError(named ? message : file.name() + ": " + message);
    }
}

} // namespace hdap::surrogate
