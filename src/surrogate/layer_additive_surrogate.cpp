#include "surrogate/layer_additive_surrogate.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"
#include "surrogate/error_metrics_file.hpp"
#include "surrogate/validation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <omp.h>
#include <utility>

namespace hdap::surrogate {
namespace {

constexpr std::array overlap_names{"none", "square", "fourth", "full"};

std::vector<std::string> names_of_layers(const PredictedNetwork& network) {
    std::vector<std::string> names;
    for (const network::LayerCosts& layer : network.costs.layers(network.space.unpruned()))
        names.push_back(layer.name);
    return names;
}

std::vector<std::string> names_of_columns() {
    std::vector<std::string> names;
    for (const ShapeColumn& column : shape_columns())
        names.push_back(column.name);
    return names;
}

std::shared_ptr<const LayerAdditiveModel> checked(LayerAdditiveModel model, std::size_t clusters,
                                                  std::size_t layers) {
    const auto rows = static_cast<Eigen::Index>(layers);
    const auto columns = static_cast<Eigen::Index>(shape_columns().size());
    if (clusters == 0 || model.log_rates.size() != clusters)
        throw core::DataError(fmt::format("surrogates need rates and error metrics per cluster, "
                                          "not {} and {}",
                                          model.log_rates.size(), clusters));
    if (model.weights.rows() != rows || model.weights.cols() != columns)
        throw core::DataError(fmt::format("weights of {} layers and {} columns, expected {} and {}",
                                          model.weights.rows(), model.weights.cols(), rows,
                                          columns));
    constexpr double largest_log_rate = 100.0; // their exponentials, and products, are numbers
    for (std::size_t k = 0; k < clusters; ++k)
        if (!model.log_rates[k].allFinite() ||
            model.log_rates[k].cwiseAbs().maxCoeff() > largest_log_rate)
            throw core::DataError(fmt::format("cluster {} has the logs of rates {}, expected "
                                              "numbers between -{} and {}",
                                              k, fmt::join(model.log_rates[k], ", "),
                                              largest_log_rate, largest_log_rate));
    if (!model.weights.allFinite() || model.weights.minCoeff() < 0.0)
        throw core::DataError("a layer has a weight that is not a number of 0 or more");
    if (model.form.padding >= paddings.size())
        throw core::InternalError("a padding that there is not");
    return std::make_shared<const LayerAdditiveModel>(std::move(model));
}

/// The measurements of a profile, cluster by cluster.
std::vector<ClusterMeasurements> measurements_of(const fleet::Profile& profile) {
    std::vector<ClusterMeasurements> clusters;
    for (std::size_t k = 0; k < profile.clusters; ++k) {
        ClusterMeasurements& cluster = clusters.emplace_back();
        for (std::size_t i = 0; i < profile.candidates(); ++i) {
            cluster.candidates.push_back(i);
            cluster.latency_ms.push_back(profile.latency_ms[k * profile.candidates() + i]);
        }
    }
    return clusters;
}

void check_task(const fleet::Profile& profile, const PredictedNetwork& network, int threads,
                std::int64_t folds) {
    constexpr std::size_t fewest = 3;
    fleet::check_profile(profile, "the profile");
    check_folds_and_threads(folds, threads);
    if (profile.genes() != network.space.groups().size() ||
        profile.genomes.front() != network.space.unpruned())
        throw core::DataError("the profile is of another network: its first candidate is not the "
                              "unpruned one");
    if (profile.candidates() < fewest)
        throw core::DataError(fmt::format("a surrogate of layers needs at least {} candidates, the "
                                          "profile has {}",
                                          fewest, profile.candidates()));
}

double kept_ridge(double ridge) {
    return std::isinf(ridge) ? 0.0 : ridge;
}

double read_ridge(const storage::Hdf5Reader& file, const std::string& at, const char* name) {
    const double ridge = file.attribute_double(at, name);
    if (!(ridge >= 0.0) || std::isinf(ridge))
        throw core::DataError(
            fmt::format("{}: {} is {}, expected a number of 0 or more", file.name(), name, ridge));
    return ridge == 0.0 ? std::numeric_limits<double>::infinity() : ridge;
}

template <class Names>
std::size_t read_choice(const storage::Hdf5Reader& file, const char* name, const std::string& text,
                        const Names& names) {
    const auto found = std::ranges::find(names, text);
    if (found == names.end())
        throw core::DataError(
            fmt::format("{}: unknown {} '{}'", file.name(), name, core::printable(text)));
    return static_cast<std::size_t>(found - names.begin());
}

RooflineForm read_form(const storage::Hdf5Reader& file, const std::string& at) {
    const std::int64_t padding = file.attribute_int(at, "padding");
    const auto place = std::ranges::find(paddings, padding);
    if (place == paddings.end())
        throw core::DataError(
            fmt::format("{}: padding is {}, expected 1, 4, 8, 16, 32 or 64", file.name(), padding));
    return {.padding = static_cast<std::size_t>(place - paddings.begin()),
            .overlap = overlaps.at(
                read_choice(file, "overlap", file.attribute_string(at, "overlap"), overlap_names))};
}

std::string group_of(const std::string& prefix) {
    return prefix.empty() ? "/" : prefix;
}

} // namespace

LayerAdditiveSurrogate::LayerAdditiveSurrogate(LayerAdditiveModel model, AdditiveRidges ridges,
                                               std::vector<ErrorMetrics> cross_validation,
                                               const PredictedNetwork& network)
    : ridges_(ridges), cross_validation_(std::move(cross_validation)),
      layer_names_(names_of_layers(network)), batch_(network.batch),
      model_(checked(std::move(model), cross_validation_.size(), layer_names_.size())),
      tables_(network.costs, network.space, cross_validation_.size(),
              [function = LayerFunction(model_), batch = network.batch](
                  std::size_t layer, const network::LayerCosts& costs, std::span<double> values) {
                  function.fill(layer, padded_work(costs, batch), values);
              }) {}

void LayerAdditiveSurrogate::predict(std::span<const network::Genome> genomes,
                                     std::span<double> latency_ms, int threads) const {
    if (threads < 1)
        throw core::ConfigError(fmt::format("predictions need 1 thread or more, not {}", threads));
    tables_.sum(genomes, latency_ms, threads);
}

void LayerAdditiveSurrogate::write(storage::Hdf5Writer& file, const std::string& prefix) const {
    const std::string at = group_of(prefix);
    std::vector<double> rates;
    for (const LogRates& of_cluster : model_->log_rates)
        for (const double log_rate : of_cluster)
            rates.push_back(log_rate);
    std::vector<double> weights;
    for (Eigen::Index layer = 0; layer < model_->weights.rows(); ++layer)
        for (const double weight : model_->weights.row(layer))
            weights.push_back(weight);
    file.write(prefix + "/log_rates", rates, {clusters(), rate_count});
    file.write(prefix + "/weights", weights, {layer_names_.size(), shape_columns().size()});
    file.write_strings(prefix + "/layers", layer_names_);
    file.write_strings(prefix + "/columns", names_of_columns());
    write_metrics(file, prefix, cross_validation_);
    file.attribute(at, "padding", paddings.at(model_->form.padding));
    file.attribute(at, "overlap",
                   std::string(overlap_names.at(static_cast<std::size_t>(model_->form.overlap))));
    file.attribute(at, "batch", batch_);
    file.attribute(at, "shape_ridge", kept_ridge(ridges_.shapes));
    file.attribute(at, "layer_ridge", kept_ridge(ridges_.layers));
}

std::unique_ptr<Surrogate> fit_layer_additive_surrogate(const fleet::Profile& profile,
                                                        const PredictedNetwork& network,
                                                        int threads, std::int64_t folds) {
    check_task(profile, network, threads, folds);
    const auto clusters = measurements_of(profile);
    const auto parts = static_cast<std::size_t>(folds == 0 ? standard_folds : folds);
    LayerAdditiveFit fit = fit_layer_additive(
        work_table(network.costs, profile.genomes, network.batch), clusters,
        std::min(parts, profile.candidates()), threads == 0 ? omp_get_max_threads() : threads);
    std::vector<ErrorMetrics> errors;
    for (std::size_t k = 0; k < clusters.size(); ++k)
        errors.push_back(folds == 0 ? unknown_errors()
                                    : error_metrics(clusters[k].latency_ms, fit.held_out_ms[k]));
    return std::make_unique<LayerAdditiveSurrogate>(std::move(fit.model), fit.ridges,
                                                    std::move(errors), network);
}

std::unique_ptr<Surrogate> read_layer_additive_surrogate(const storage::Hdf5Reader& file,
                                                         const PredictedNetwork& network,
                                                         const std::string& prefix) {
    const std::string at = group_of(prefix);
    const auto refuse = [&](const std::string& what) {
        throw core::DataError(fmt::format("{}: {}", file.name(), what));
    };
    if (file.read_strings(prefix + "/layers") != names_of_layers(network))
        refuse("the surrogates are of another network: its layers have other names");
    if (file.read_strings(prefix + "/columns") != names_of_columns())
        refuse("the surrogates are of another version of hdap; fit them again");
    if (const std::int64_t batch = file.attribute_int(at, "batch"); batch != network.batch)
        refuse(fmt::format("the surrogates are of a batch of {}, the study's is {}", batch,
                           network.batch));
    LayerAdditiveModel model;
    model.form = read_form(file, at);
    const std::vector<double> rates = file.read<double>(prefix + "/log_rates");
    const std::size_t clusters = rates.size() / rate_count;
    if (rates.size() % rate_count != 0)
        refuse(fmt::format("{}/log_rates has {} numbers, expected {} per cluster", prefix,
                           rates.size(), rate_count));
    for (std::size_t k = 0; k < clusters; ++k)
        model.log_rates.emplace_back(Eigen::Map<const LogRates>(&rates[k * rate_count]));
    const std::size_t layers = names_of_layers(network).size();
    const std::size_t columns = shape_columns().size();
    const std::vector<double> weights = file.read<double>(prefix + "/weights", {layers, columns});
    model.weights =
        Eigen::Map<const Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>(
            weights.data(), static_cast<Eigen::Index>(layers), static_cast<Eigen::Index>(columns));
    const AdditiveRidges ridges{.shapes = read_ridge(file, at, "shape_ridge"),
                                .layers = read_ridge(file, at, "layer_ridge")};
    auto errors = read_metrics(file, prefix, clusters);
    try {
        return std::make_unique<LayerAdditiveSurrogate>(std::move(model), ridges, std::move(errors),
                                                        network);
    } catch (const core::DataError& error) {
        refuse(error.what());
    }
    return nullptr;
}

} // namespace hdap::surrogate
