#include "hdap/surrogate/surrogate.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"
#include "hdap/core/unknown_name.hpp"
#include "surrogate/gbrt_surrogate.hpp"
#include "surrogate/layer_additive_surrogate.hpp"

#include <fmt/core.h>

namespace hdap::surrogate {
namespace {

struct SurrogateRow {
    std::string_view kind;
    std::vector<core::Setting> (*settings)(SurrogateParameters& parameters);
    std::unique_ptr<Surrogate> (*fit)(const fleet::Profile& profile,
                                      const SurrogateParameters& parameters,
                                      const PredictedNetwork& network, int threads,
                                      std::int64_t folds);
    std::unique_ptr<Surrogate> (*read)(const storage::Hdf5Reader& file,
                                       const PredictedNetwork& network, const std::string& prefix);
};

std::vector<core::Setting> gbrt_settings(SurrogateParameters& parameters) {
    return settings_of(parameters.gbrt);
}

std::unique_ptr<Surrogate> fit_gbrt_kind(const fleet::Profile& profile,
                                         const SurrogateParameters& parameters,
                                         const PredictedNetwork& /*network*/, int threads,
                                         std::int64_t folds) {
    return fit_gbrt_surrogate(profile, parameters.gbrt, threads, folds);
}

std::unique_ptr<Surrogate> read_gbrt_kind(const storage::Hdf5Reader& file,
                                          const PredictedNetwork& /*network*/,
                                          const std::string& prefix) {
    return read_gbrt_surrogate(file, prefix);
}

std::vector<core::Setting> no_settings(SurrogateParameters& /*parameters*/) {
    return {};
}

std::unique_ptr<Surrogate> fit_layer_additive_kind(const fleet::Profile& profile,
                                                   const SurrogateParameters& /*parameters*/,
                                                   const PredictedNetwork& network, int threads,
                                                   std::int64_t folds) {
    return fit_layer_additive_surrogate(profile, network, threads, folds);
}

/// Another surrogate is a line here.
constexpr SurrogateRow surrogates[] = {
    {"gbrt", &gbrt_settings, &fit_gbrt_kind, &read_gbrt_kind},
    {"layer_additive", &no_settings, &fit_layer_additive_kind, &read_layer_additive_surrogate},
};

constexpr const char* automatic = "auto";

double mean_error(const Surrogate& surrogate) {
    double sum = 0.0;
    for (const ErrorMetrics& errors : surrogate.cross_validation())
        sum += errors.mape;
    return sum / static_cast<double>(surrogate.clusters());
}

/// Forests, which do not say what a layer takes, must be better by 1 %.
std::unique_ptr<Surrogate> fit_best(const fleet::Profile& profile,
                                    const SurrogateParameters& parameters,
                                    const PredictedNetwork& network, int threads,
                                    std::int64_t folds) {
    constexpr std::size_t enough_for_forests = 50;
    constexpr double better = 0.99;
    auto additive = fit_layer_additive_surrogate(profile, network, threads, folds);
    if (folds == 0) return additive;
    if (profile.candidates() < enough_for_forests) {
        additive->set_choice(fmt::format("layer_additive: fewer than {} candidates are too few "
                                         "for gbrt",
                                         enough_for_forests));
        return additive;
    }
    std::unique_ptr<Surrogate> forests =
        fit_gbrt_surrogate(profile, parameters.gbrt, threads, folds);
    const double of_additive = mean_error(*additive);
    const double of_forests = mean_error(*forests);
    std::unique_ptr<Surrogate> best =
        std::move(of_forests < better * of_additive ? forests : additive);
    best->set_choice(fmt::format("layer_additive is off by {} %, gbrt by {} %",
                                 core::significant(100.0 * of_additive, 2),
                                 core::significant(100.0 * of_forests, 2)));
    return best;
}

std::vector<std::string> stored_kinds() {
    std::vector<std::string> kinds;
    for (const SurrogateRow& row : surrogates)
        kinds.emplace_back(row.kind);
    return kinds;
}

/// Nothing for an unknown kind.
const SurrogateRow* find_row(std::string_view kind) {
    for (const SurrogateRow& row : surrogates)
        if (row.kind == kind) return &row;
    return nullptr;
}

std::string group_of(const std::string& prefix) {
    return prefix.empty() ? "/" : prefix;
}

} // namespace

std::vector<std::string> surrogate_kinds() {
    std::vector<std::string> kinds = stored_kinds();
    kinds.insert(kinds.begin(), automatic);
    return kinds;
}

std::vector<core::Setting> settings_of(SurrogateParameters& parameters) {
    std::vector<core::Setting> settings{
        core::text("kind", parameters.kind, surrogate_kinds(),
                   "auto: the one with the least error of what follows; gbrt: gradient-boosted "
                   "forests, one per cluster; layer_additive: a sum over "
                   "layers of what each takes, its parts shared by the clusters",
                   core::Outputs::surrogates)};
    for (const SurrogateRow& row : surrogates) {
        const std::vector<core::Setting> own = row.settings(parameters);
        settings.insert(settings.end(), own.begin(), own.end());
    }
    return settings;
}

std::unique_ptr<Surrogate> fit_surrogate(const fleet::Profile& profile,
                                         const SurrogateParameters& parameters,
                                         const PredictedNetwork& network, int threads,
                                         std::int64_t folds) {
    if (parameters.kind == automatic) return fit_best(profile, parameters, network, threads, folds);
    const SurrogateRow* const row = find_row(parameters.kind);
    if (row == nullptr)
        throw core::ConfigError(
            core::unknown_name("kind of surrogate", parameters.kind, surrogate_kinds()));
    return row->fit(profile, parameters, network, threads, folds);
}

void write_surrogate(storage::Hdf5Writer& file, const Surrogate& surrogate,
                     const std::string& prefix) {
    if (!prefix.empty()) file.group(prefix);
    file.attribute(group_of(prefix), "kind", std::string(surrogate.kind()));
    if (!surrogate.choice().empty()) file.attribute(group_of(prefix), "choice", surrogate.choice());
    surrogate.write(file, prefix);
}

std::unique_ptr<Surrogate> read_surrogate(const storage::Hdf5Reader& file,
                                          const PredictedNetwork& network,
                                          const std::string& prefix) {
    const std::string kind = file.attribute_string(group_of(prefix), "kind");
    const SurrogateRow* const row = find_row(kind);
    if (row == nullptr)
        throw core::DataError(fmt::format(
            "{}: {}", file.name(), core::unknown_name("kind of surrogate", kind, stored_kinds())));
    std::unique_ptr<Surrogate> surrogate = row->read(file, network, prefix);
    if (file.has_attribute(group_of(prefix), "choice"))
        surrogate->set_choice(core::printable(file.attribute_string(group_of(prefix), "choice")));
    return surrogate;
}

} // namespace hdap::surrogate
