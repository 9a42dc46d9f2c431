#include "verification.hpp"

#include "hdap/core/csv.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/statistics.hpp"
#include "hdap/core/text.hpp"
#include "hdap/fleet/evenly_spaced.hpp"
#include "hdap/storage/sealed_file.hpp"
#include "results.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>
#include <span>

namespace hdap::study {
namespace {

constexpr const char* verification_name = "verification.h5";

/// A network and what it takes on the devices that are looked at, in ms; NaN where it was not
/// measured.
struct VerifiedNetwork {
    Selection network;
    std::vector<double> predicted_ms; ///< [device]
    std::vector<double> measured_ms;  ///< [device]

    /// Those of the devices that both are known of, each summed up by `statistic`.
    template <class Statistic>
    [[nodiscard]] std::pair<double, double> both(const Statistic& statistic) const {
        std::vector<double> predicted;
        std::vector<double> measured;
        for (std::size_t i = 0; i < measured_ms.size(); ++i) {
            if (std::isnan(measured_ms[i])) continue;
            predicted.push_back(predicted_ms[i]);
            measured.push_back(measured_ms[i]);
        }
        if (measured.empty()) return {std::nan(""), std::nan("")};
        return {statistic(predicted), statistic(measured)};
    }
};

double p95_of(const std::vector<double>& values) {
    return core::quantile(values, 0.95);
}

/// What is measured: the unpruned network first.
std::vector<Selection> networks_to_verify(const StudyRun& run) {
    std::vector<Selection> networks{{"unpruned", run.own().space.unpruned()}};
    for (const FinetunedNetwork& network : run.finetuned)
        networks.push_back({network.id, network.genome});
    const bool is_nothing_finetuned = networks.size() == 1;
    if (!is_nothing_finetuned && !run.inputs.request.verify->whole_front) return networks;
    const auto front = search::current_front(*run.problem, run.found);
    for (std::size_t i = 0; i < front.size(); ++i) {
        const std::string id = fmt::format("front-{:02}", i + 1);
        const auto is_it = [&](const Selection& one) { return one.id == id; };
        if (std::none_of(networks.begin(), networks.end(), is_it))
            networks.push_back({id, run.found.log[front[i]].genome});
    }
    return networks;
}

/// The devices that are looked at, evenly spread over those that count.
std::vector<std::int32_t> devices_to_verify(const StudyRun& run,
                                            const fleet::Clustering& clustering) {
    std::vector<std::int32_t> counting;
    for (std::size_t i = 0; i < clustering.devices(); ++i)
        if (clustering.assigned_cluster[i] >= 0) counting.push_back(static_cast<std::int32_t>(i));
    const auto most = static_cast<std::size_t>(run.inputs.request.verify->devices);
    return most == 0 ? counting : fleet::evenly_spaced(counting, most);
}

/// [device] what it is told to take of what the clusters are predicted to take.
std::vector<double> predictions(const StudyRun& run, const fleet::Clustering& clustering,
                                const network::Genome& genome,
                                std::span<const std::int32_t> devices) {
    const auto of_cluster =
        search::predicted_latencies(*run.problem, std::span(&genome, 1), run.job.threads);
    std::vector<double> predicted;
    for (const std::int32_t device : devices)
        predicted.push_back(
            fleet::device_latency_ms(clustering, of_cluster, static_cast<std::size_t>(device)));
    return predicted;
}

std::string pairs_csv(const std::vector<VerifiedNetwork>& networks, const fleet::Fleet& fleet,
                      std::span<const std::int32_t> devices) {
    std::string text = "network,device_id,predicted_ms,measured_ms\n";
    const auto number = [](double value) {
        return std::isnan(value) ? std::string() : core::shortest(value);
    };
    for (const VerifiedNetwork& one : networks)
        for (std::size_t i = 0; i < devices.size(); ++i)
            text +=
                fmt::format("{},{},{},{}\n", one.network.id,
                            core::csv_field(fleet.device_ids[static_cast<std::size_t>(devices[i])]),
                            number(one.predicted_ms[i]), number(one.measured_ms[i]));
    return text;
}

/// What one network comes to over the devices.
struct Summary {
    std::string id;
    std::size_t devices = 0; ///< that measured it
    double predicted_mean_ms, measured_mean_ms, predicted_p95_ms, measured_p95_ms;
    double speedup = 0.0;      ///< measured, of the mean
    double median_error = 0.0; ///< |predicted ÷ measured − 1| of a device
};

std::vector<Summary> summaries_of(const std::vector<VerifiedNetwork>& networks) {
    std::vector<Summary> summaries;
    for (const VerifiedNetwork& one : networks) {
        const auto [predicted_mean, measured_mean] = one.both(core::mean);
        const auto [predicted_p95, measured_p95] = one.both(p95_of);
        std::vector<double> errors;
        for (std::size_t i = 0; i < one.measured_ms.size(); ++i)
            if (!std::isnan(one.measured_ms[i]))
                errors.push_back(std::abs(one.predicted_ms[i] / one.measured_ms[i] - 1.0));
        Summary summary{one.network.id, errors.size(), predicted_mean,
                        measured_mean,  predicted_p95, measured_p95};
        summary.median_error = errors.empty() ? std::nan("") : core::median(std::move(errors));
        const double unpruned =
            summaries.empty() ? measured_mean : summaries.front().measured_mean_ms;
        summary.speedup = unpruned / measured_mean;
        summaries.push_back(summary);
    }
    return summaries;
}

std::string summary_csv(const std::vector<Summary>& summaries) {
    std::string text = "network,devices,predicted_mean_ms,measured_mean_ms,predicted_p95_ms,"
                       "measured_p95_ms,measured_speedup,median_device_error\n";
    for (const Summary& s : summaries)
        text += fmt::format("{},{},{},{},{},{},{},{}\n", s.id, s.devices,
                            core::shortest(s.predicted_mean_ms), core::shortest(s.measured_mean_ms),
                            core::shortest(s.predicted_p95_ms), core::shortest(s.measured_p95_ms),
                            core::shortest(s.speedup), core::shortest(s.median_error));
    return text;
}

void print_summary(const std::vector<Summary>& summaries, std::size_t devices, bool simulated) {
    std::printf("measured on %s\n\n%-12s %8s   %10s %10s %8s   %10s %10s   %8s %8s\n",
                core::counted(devices, simulated ? "simulated device" : "device").c_str(),
                "network", "devices", "predicted", "measured", "off by", "predicted", "measured",
                "measured", "device");
    std::printf("%-12s %8s   %10s %10s %8s   %10s %10s   %8s %8s\n", "", "", "mean ms", "mean ms",
                "", "p95 ms", "p95 ms", "speed-up", "error");
    for (const Summary& s : summaries)
        std::printf("%-12s %8zu   %10.4g %10.4g %+7.1f%%   %10.4g %10.4g   %7.3fx %7.1f%%\n",
                    s.id.c_str(), s.devices, s.predicted_mean_ms, s.measured_mean_ms,
                    100.0 * (s.predicted_mean_ms / s.measured_mean_ms - 1.0), s.predicted_p95_ms,
                    s.measured_p95_ms, s.speedup, 100.0 * s.median_error);
    std::printf("\n");
}

/// What is verified, on every rank.
struct ToVerify {
    std::vector<network::Genome> genomes;
    std::vector<std::int32_t> devices;
    std::int64_t occasion = 0;
};

/// What the root knows, on every rank. Collective.
ToVerify share(const StudyRun& run, ToVerify known) {
    std::vector<std::int32_t> flat;
    for (const network::Genome& genome : known.genomes)
        flat.insert(flat.end(), genome.begin(), genome.end());
    std::vector<std::int64_t> occasion{known.occasion};
    run.communicator().broadcast(flat);
    run.communicator().broadcast(known.devices);
    run.communicator().broadcast(occasion);
    const auto genes = static_cast<std::ptrdiff_t>(run.own().space.groups().size());
    ToVerify shared{{}, std::move(known.devices), occasion.front()};
    for (auto gene = flat.begin(); gene != flat.end(); gene += genes)
        shared.genomes.emplace_back(gene, gene + genes);
    return shared;
}

/// Another study may measure in the same folder, and this one with a longer search.
std::string name_of_occasion(const StudyRun& run, std::int64_t occasion) {
    return fmt::format("verification {} of {}", occasion,
                       identity_key(identity_of(run, Stage::search)));
}

/// [network][device]; `by_device` [device][network]
std::vector<double> by_network(std::span<const double> by_device, std::size_t networks) {
    std::vector<double> turned;
    for (std::size_t n = 0; n < networks; ++n)
        for (std::size_t i = n; i < by_device.size(); i += networks)
            turned.push_back(by_device[i]);
    return turned;
}

/// `measured` [quantity][device][network], the usual latency first
Verification verification_from(const ToVerify& verified,
                               const std::vector<fleet::Quantity>& quantities,
                               std::span<const double> measured) {
    const std::size_t networks = verified.genomes.size();
    const std::size_t each = networks * verified.devices.size();
    Verification verification;
    verification.genomes = verified.genomes;
    verification.devices = verified.devices;
    verification.measured_ms = by_network(measured.first(each), networks);
    for (std::size_t q = 1; q < quantities.size(); ++q)
        verification.others[quantities[q]] = by_network(measured.subspan(q * each, each), networks);
    verification.occasion = verified.occasion;
    return verification;
}

/// Keeps what was measured for the report; the results of the last time are made again.
void write_measured(const StudyRun& run, const Verification& verification) {
    storage::FileIdentity identity = identity_of(run, Stage::search);
    identity.schema = verification_schema;
    std::filesystem::remove(run.file("results.h5"));
    write_stage(run.file(verification_name), identity,
                [&](storage::Hdf5Writer& file) { write_verification(file, verification); });
}

/// For people, and for tables of theirs.
void describe(const StudyRun& run, const FleetOutputs& fleet,
              const std::vector<Selection>& networks, const Verification& verification) {
    const std::vector<std::int32_t>& devices = verification.devices;
    std::vector<VerifiedNetwork> verified;
    for (std::size_t n = 0; n < networks.size(); ++n) {
        VerifiedNetwork one{
            networks[n], predictions(run, fleet.clustering, networks[n].genome, devices), {}};
        for (std::size_t d = 0; d < devices.size(); ++d)
            one.measured_ms.push_back(verification.latency_ms(n, d));
        verified.push_back(std::move(one));
    }
    const std::vector<Summary> summaries = summaries_of(verified);
    storage::write_atomically(run.file("verification.csv"),
                              pairs_csv(verified, fleet.devices, devices));
    storage::write_atomically(run.file("verified.csv"), summary_csv(summaries));
    print_summary(summaries, devices.size(), fleet.truth.known());
}

} // namespace

Verification verification_of(const StudyRun& run, std::size_t devices) {
    const std::filesystem::path file = run.file(verification_name);
    if (!std::filesystem::exists(file)) return {};
    try {
        return read_verification(open_stage(file, verification_schema),
                                 run.own().space.groups().size(), devices);
    } catch (const core::Error& error) {
        if (error.kind() != core::ErrorKind::corrupt_file && error.kind() != core::ErrorKind::data)
            throw;
        run.job.log.warning(fmt::format("{}; hdap fleet verify makes it again", error.what()));
        return {};
    }
}

bool verify_networks(StudyRun& run) {
    std::vector<Selection> networks;
    std::optional<FleetOutputs> fleet;
    ToVerify known;
    run.communicator().on_root([&] {
        fleet.emplace(run);
        networks = networks_to_verify(run);
        for (const Selection& one : networks)
            known.genomes.push_back(one.genome);
        known.devices = devices_to_verify(run, fleet->clustering);
        known.occasion = verification_of(run, fleet->devices.devices()).occasion + 1;
    });
    const ToVerify shared = share(run, std::move(known));
    const auto measured = run.inputs.source->latencies_ms(
        {.genomes = shared.genomes,
         .devices = shared.devices,
         .runs = run.settings().profile.runs,
         .partial = true,
         .anew = fleet::MeasuringAnew{name_of_occasion(run, shared.occasion),
                                      run.inputs.request.verify->rounds},
         .quantities = quantities_of(run.settings())},
        run.job);
    if (!measured) return false;
    run.communicator().on_root([&] {
        const Verification verification =
            verification_from(shared, quantities_of(run.settings()), *measured);
        write_measured(run, verification);
        describe(run, *fleet, networks, verification);
    });
    return true;
}

} // namespace hdap::study
