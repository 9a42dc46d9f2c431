#include "hdap/core/error.hpp"
#include "hdap/fleet/clustering.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <span>
#include <string>

namespace hdap::fleet {
namespace {

constexpr std::size_t most_curve_points = 1'000;

struct ErrorField {
    const char* name;
    double FigureErrors::*value;
};

constexpr ErrorField error_fields[] = {{"mean", &FigureErrors::mean},
                                       {"p95", &FigureErrors::p95},
                                       {"slowest", &FigureErrors::slowest},
                                       {"device", &FigureErrors::device},
                                       {"uncertainty", &FigureErrors::uncertainty}};

/// A data set for each error.
void write_errors(storage::Hdf5Writer& file, const std::string& group,
                  const std::vector<FigureErrors>& errors) {
    for (const ErrorField& field : error_fields) {
        std::vector<double> values;
        for (const FigureErrors& of : errors)
            values.push_back(of.*field.value);
        file.write(fmt::format("{}/{}", group, field.name), values);
    }
}

std::vector<FigureErrors> read_errors(const storage::Hdf5Reader& file, const std::string& group,
                                      std::size_t count) {
    std::vector<FigureErrors> errors(count);
    for (const ErrorField& field : error_fields) {
        const std::string path = fmt::format("{}/{}", group, field.name);
        const auto values = file.read<double>(path, {count});
        for (std::size_t i = 0; i < count; ++i) {
            if (!(values[i] >= 0.0 && std::isfinite(values[i])))
                throw core::DataError(
                    fmt::format("{}: {}: the error at {} is {}", file.name(), path, i, values[i]));
            errors[i].*field.value = values[i];
        }
    }
    return errors;
}

void write_facts(storage::Hdf5Writer& file, const GroupingFacts& facts) {
    file.attribute("/", "radius", facts.radius);
    file.attribute("/", "shape_is_noise", std::int64_t{facts.shape_is_noise ? 1 : 0});
    file.attribute("/", "eps", facts.eps);
    file.attribute("/", "min_points", facts.min_points);
    file.attribute("/", "no_dense_group", std::int64_t{facts.no_dense_group ? 1 : 0});
    file.write("/k_distance", facts.k_distance);
    std::vector<double> radius;
    std::vector<std::int64_t> clusters;
    std::vector<FigureErrors> errors;
    for (const RadiusTrial& trial : facts.trials) {
        radius.push_back(trial.radius);
        clusters.push_back(trial.clusters);
        errors.push_back(trial.errors);
    }
    file.write("/trials/radius", radius);
    file.write("/trials/clusters", clusters);
    write_errors(file, "/trials", errors);
}

GroupingFacts read_facts(const storage::Hdf5Reader& file) {
    GroupingFacts facts;
    facts.radius = file.attribute_double("/", "radius");
    facts.shape_is_noise = file.attribute_int("/", "shape_is_noise") != 0;
    facts.eps = file.attribute_double("/", "eps");
    facts.min_points = file.attribute_int("/", "min_points");
    facts.no_dense_group = file.attribute_int("/", "no_dense_group") != 0;
    facts.k_distance = file.read<double>("/k_distance");
    const auto radius = file.read<double>("/trials/radius");
    const auto clusters = file.read<std::int64_t>("/trials/clusters", {radius.size()});
    const auto errors = read_errors(file, "/trials", radius.size());
    for (std::size_t i = 0; i < radius.size(); ++i)
        facts.trials.push_back({radius[i], clusters[i], errors[i]});
    return facts;
}

} // namespace

void write_clustering(storage::Hdf5Writer& file, const Clustering& clustering) {
    std::size_t ranks = 0;
    for (const auto& devices : clustering.representatives)
        ranks = std::max(ranks, devices.size());
    std::vector<std::int32_t> representatives(clustering.clusters() * ranks, -1);
    for (std::size_t c = 0; c < clustering.clusters(); ++c)
        std::copy(clustering.representatives[c].begin(), clustering.representatives[c].end(),
                  representatives.begin() + static_cast<std::ptrdiff_t>(c * ranks));
    file.attribute("/", "method", clustering.method);
    file.attribute("/", "metric", std::string(name_of(clustering.metric)));
    write_facts(file, clustering.facts);
    if (clustering.stability) file.attribute("/", "stability", *clustering.stability);
    if (clustering.held_out) write_errors(file, "/held_out", {*clustering.held_out});
    file.write("/cluster_of_device", clustering.cluster_of_device);
    file.write("/assigned_cluster", clustering.assigned_cluster);
    file.write("/device_ratio", clustering.device_ratio);
    file.write("/blend_of_device", clustering.blend_of_device);
    file.write("/blends", clustering.blends,
               {clustering.blends.size() / clustering.clusters(), clustering.clusters()});
    file.write("/cluster_weight", clustering.cluster_weight);
    file.write("/cluster_mean_ratio", clustering.cluster_mean_ratio);
    file.write("/cluster_blend", clustering.cluster_blend,
               {clustering.clusters(), clustering.clusters()});
    file.write("/representatives", representatives, {clustering.clusters(), ranks});
    if (!clustering.former_cluster.empty())
        file.write("/former_cluster", clustering.former_cluster);
}

namespace {

/// Checks what a file of clusters holds. Messages begin with the file and the data set.
class ClusteringCheck {
  public:
    ClusteringCheck(const Clustering& clustering, const std::string& file)
        : clustering_(clustering), file_(file) {}

    void run() const {
        const std::vector<std::string> methods = grouping_method_names();
        require(std::ranges::find(methods, clustering_.method) != methods.end(), "/",
                fmt::format("method is '{}'", clustering_.method));
        require(clustering_.devices() > 0, "/cluster_of_device", "no devices");
        require(clustering_.clusters() > 0, "/cluster_weight", "no clusters");
        check_labels();
        check_weights();
        check_blends();
        check_representatives();
        check_former();
        check_facts();
    }

  private:
    void require(bool holds, const char* path, const std::string& message) const {
        if (!holds) throw core::DataError(fmt::format("{}: {}: {}", file_, path, message));
    }

    void check_labels() const {
        const auto clusters = static_cast<std::int64_t>(clustering_.clusters());
        const auto in_range = [&](std::int32_t c) { return c >= -1 && c < clusters; };
        for (std::size_t i = 0; i < clustering_.devices(); ++i) {
            const std::int32_t own = clustering_.cluster_of_device[i];
            const std::int32_t assigned = clustering_.assigned_cluster[i];
            const double ratio = clustering_.device_ratio[i];
            require(in_range(own), "/cluster_of_device",
                    fmt::format("device {} is in cluster {} of {}", i, own, clusters));
            require(in_range(assigned) && (own < 0 || own == assigned), "/assigned_cluster",
                    fmt::format("device {} of cluster {} is assigned to {}", i, own, assigned));
            require(std::isfinite(ratio) && (assigned < 0 ? ratio == 0.0 : ratio > 0.0),
                    "/device_ratio", fmt::format("device {} has ratio {:f}", i, ratio));
        }
    }

    void check_weights() const {
        double sum = 0.0;
        for (std::size_t c = 0; c < clustering_.clusters(); ++c) {
            const double weight = clustering_.cluster_weight[c];
            const double ratio = clustering_.cluster_mean_ratio[c];
            require(weight > 0.0 && weight <= 1.0, "/cluster_weight",
                    fmt::format("cluster {} has weight {:f}", c, weight));
            require(std::isfinite(ratio) && ratio > 0.0, "/cluster_mean_ratio",
                    fmt::format("cluster {} has ratio {:f}", c, ratio));
            sum += weight;
        }
        require(std::abs(sum - 1.0) <= 1e-9, "/cluster_weight",
                fmt::format("the weights sum to {:f}, expected 1", sum));
    }

    void check_representatives() const {
        std::vector<bool> seen(clustering_.devices(), false);
        for (std::size_t c = 0; c < clustering_.clusters(); ++c) {
            require(!clustering_.representatives[c].empty(), "/representatives",
                    fmt::format("cluster {} has none", c));
            for (const std::int32_t device : clustering_.representatives[c]) {
                const bool valid =
                    device >= 0 && static_cast<std::size_t>(device) < clustering_.devices();
                const auto i = static_cast<std::size_t>(device);
                require(valid && !seen[i] &&
                            clustering_.cluster_of_device[i] == static_cast<std::int32_t>(c),
                        "/representatives",
                        fmt::format("device {} cannot represent cluster {}", device, c));
                seen[i] = true;
            }
        }
    }

    void check_former() const {
        std::set<std::int32_t> seen;
        for (const std::int32_t former : clustering_.former_cluster)
            require(former == -1 || (former >= 0 && seen.insert(former).second), "/former_cluster",
                    fmt::format("a cluster was number {} before", former));
    }

    void check_blends() const {
        const auto blends =
            static_cast<std::int64_t>(clustering_.blends.size() / clustering_.clusters());
        for (std::size_t i = 0; i < clustering_.devices(); ++i) {
            const std::int32_t blend = clustering_.blend_of_device[i];
            const bool counts = clustering_.assigned_cluster[i] >= 0;
            require(counts ? blend >= 0 && blend < blends : blend == -1, "/blend_of_device",
                    fmt::format("device {} is told from blend {} of {}", i, blend, blends));
        }
        check_counts("/blends", clustering_.blends);
        check_counts("/cluster_blend", clustering_.cluster_blend);
        const std::size_t clusters = clustering_.clusters();
        for (std::size_t first = 0; first < clustering_.blends.size(); first += clusters) {
            const auto row = std::span(clustering_.blends).subspan(first, clusters);
            require(std::ranges::any_of(row, [](double count) { return count > 0.0; }), "/blends",
                    fmt::format("row {} has zeros only", first / clusters));
        }
    }

    void check_counts(const char* path, const std::vector<double>& counts) const {
        for (std::size_t i = 0; i < counts.size(); ++i)
            require(std::isfinite(counts[i]) && counts[i] >= 0.0, path,
                    fmt::format("the number at {} is {}, expected none below 0", i, counts[i]));
    }

    void check_facts() const {
        const GroupingFacts& facts = clustering_.facts;
        const auto is_length = [](double value) { return std::isfinite(value) && value >= 0.0; };
        require(is_length(facts.radius), "/", fmt::format("radius is {:f}", facts.radius));
        require(is_length(facts.eps), "/", fmt::format("eps is {:f}", facts.eps));
        require(facts.min_points >= 0, "/", fmt::format("min_points is {}", facts.min_points));
        const std::vector<double>& curve = facts.k_distance;
        require(curve.size() <= most_curve_points && std::ranges::all_of(curve, is_length) &&
                    std::ranges::is_sorted(curve),
                "/k_distance", "expected at most 1000 ascending distances");
        if (const auto& stability = clustering_.stability)
            require(*stability >= -1.0 && *stability <= 1.0, "/",
                    fmt::format("stability is {}, expected -1 to 1", *stability));
        for (const RadiusTrial& trial : facts.trials)
            require(is_length(trial.radius) && trial.clusters > 0, "/trials",
                    fmt::format("{} clusters of radius {}", trial.clusters, trial.radius));
    }

    const Clustering& clustering_;
    const std::string& file_;
};

/// Splits the padded table into one list per cluster.
std::vector<std::vector<std::int32_t>> read_representatives(const storage::Hdf5Reader& file,
                                                            std::size_t clusters) {
    const storage::Shape shape = file.shape("/representatives");
    if (shape.size() != 2 || shape[0] != clusters)
        throw core::DataError(
            fmt::format("{}: /representatives: expected one row for each of {} clusters",
                        file.name(), clusters));
    const std::vector<std::int32_t> table = file.read<std::int32_t>("/representatives", shape);
    std::vector<std::vector<std::int32_t>> representatives(clusters);
    for (std::size_t i = 0; i < table.size(); ++i)
        if (table[i] != -1) representatives[i / shape[1]].push_back(table[i]);
    return representatives;
}

std::vector<double> read_blends(const storage::Hdf5Reader& file, std::size_t clusters) {
    const storage::Shape shape = file.shape("/blends");
    if (shape.size() != 2 || shape[1] != clusters)
        throw core::DataError(fmt::format("{}: /blends: expected a column for each of {} clusters",
                                          file.name(), clusters));
    return file.read<double>("/blends", shape);
}

} // namespace

Clustering read_clustering(const storage::Hdf5Reader& file) {
    Clustering clustering;
    const std::string metric = file.attribute_string("/", "metric");
    if (metric != "level" && metric != "shape")
        throw core::DataError(fmt::format(
            "{}: root attribute metric is '{}', expected 'level' or 'shape'", file.name(), metric));
    clustering.metric = metric == "level" ? SignatureMetric::level : SignatureMetric::shape;
    clustering.method = file.attribute_string("/", "method");
    clustering.facts = read_facts(file);
    if (file.has_attribute("/", "stability"))
        clustering.stability = file.attribute_double("/", "stability");
    if (file.contains("/held_out/mean")) clustering.held_out = read_errors(file, "/held_out", 1)[0];
    clustering.cluster_weight = file.read<double>("/cluster_weight");
    clustering.cluster_of_device = file.read<std::int32_t>("/cluster_of_device");
    const storage::Shape per_cluster{clustering.clusters()};
    const storage::Shape per_device{clustering.devices()};
    clustering.assigned_cluster = file.read<std::int32_t>("/assigned_cluster", per_device);
    clustering.device_ratio = file.read<double>("/device_ratio", per_device);
    clustering.cluster_mean_ratio = file.read<double>("/cluster_mean_ratio", per_cluster);
    clustering.representatives = read_representatives(file, clustering.clusters());
    clustering.blend_of_device = file.read<std::int32_t>("/blend_of_device", per_device);
    clustering.blends = read_blends(file, clustering.clusters());
    clustering.cluster_blend =
        file.read<double>("/cluster_blend", {clustering.clusters(), clustering.clusters()});
    if (file.contains("/former_cluster"))
        clustering.former_cluster = file.read<std::int32_t>("/former_cluster", per_cluster);
    ClusteringCheck(clustering, file.name()).run();
    return clustering;
}

} // namespace hdap::fleet
