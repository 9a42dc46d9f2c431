#include "verification_file.hpp"

#include "hdap/core/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace hdap::study {
namespace {

/// How many of the devices have measured a network.
std::int64_t answers_of(const Verification& verification, std::size_t network) {
    const auto row =
        std::span(verification.measured_ms)
            .subspan(network * verification.devices.size(), verification.devices.size());
    return std::ranges::count_if(row, [](double latency) { return !std::isnan(latency); });
}

bool has_measured_one(const Verification& verification, std::size_t device) {
    for (std::size_t n = 0; n < verification.genomes.size(); ++n)
        if (!std::isnan(verification.latency_ms(n, device))) return true;
    return false;
}

/// The networks that at least half of the devices that answered have measured.
std::vector<std::size_t> networks_to_compare(const Verification& verification) {
    std::int64_t answering = 0;
    for (std::size_t d = 0; d < verification.devices.size(); ++d)
        if (has_measured_one(verification, d)) ++answering;
    std::vector<std::size_t> networks;
    for (std::size_t n = 0; answering > 0 && n < verification.genomes.size(); ++n)
        if (2 * answers_of(verification, n) >= answering) networks.push_back(n);
    return networks;
}

} // namespace

Verification comparable_part(const Verification& verification) {
    const std::vector<std::size_t> networks = networks_to_compare(verification);
    std::vector<std::size_t> devices;
    for (std::size_t d = 0; d < verification.devices.size(); ++d)
        if (std::ranges::none_of(
                networks, [&](std::size_t n) { return std::isnan(verification.latency_ms(n, d)); }))
            devices.push_back(d);
    Verification part;
    part.occasion = verification.occasion;
    if (networks.empty() || networks.front() != 0 || devices.empty()) return part;
    for (const std::size_t d : devices)
        part.devices.push_back(verification.devices[d]);
    for (const std::size_t n : networks) {
        part.genomes.push_back(verification.genomes[n]);
        for (const std::size_t d : devices)
            part.measured_ms.push_back(verification.latency_ms(n, d));
    }
    return part;
}

void write_verification(storage::Hdf5Writer& file, const Verification& verification) {
    std::vector<std::int32_t> genes;
    for (const network::Genome& genome : verification.genomes)
        genes.insert(genes.end(), genome.begin(), genome.end());
    const std::size_t networks = verification.genomes.size();
    file.write("/genomes", genes, {networks, genes.size() / networks});
    file.attribute("/genomes", "unit", "channels");
    file.write<std::int32_t>("/devices", verification.devices);
    file.write("/measured_ms", verification.measured_ms, {networks, verification.devices.size()});
    file.attribute("/measured_ms", "unit", "ms");
    file.attribute("/", "occasion", verification.occasion);
}

Verification read_verification(const storage::Hdf5Reader& file, std::size_t genes,
                               std::size_t devices) {
    Verification verification;
    verification.occasion = file.attribute_int("/", "occasion");
    const storage::Shape shape = file.shape("/genomes");
    if (shape.size() != 2 || shape[0] == 0 || shape[1] != genes || verification.occasion < 1)
        throw core::DataError(fmt::format("{}: /genomes is not of networks with {} pruning groups, "
                                          "or occasion {} is below 1",
                                          file.name(), genes, verification.occasion));
    const auto all = file.read<std::int32_t>("/genomes", shape);
    for (std::size_t n = 0; n < shape[0]; ++n) {
        const auto genome = std::span(all).subspan(n * genes, genes);
        verification.genomes.emplace_back(genome.begin(), genome.end());
    }
    verification.devices = file.read<std::int32_t>("/devices");
    for (const std::int32_t device : verification.devices)
        if (device < 0 || static_cast<std::size_t>(device) >= devices)
            throw core::DataError(
                fmt::format("{}: /devices has {}, of a fleet of {}", file.name(), device, devices));
    verification.measured_ms =
        file.read<double>("/measured_ms", {shape[0], verification.devices.size()});
    for (const double latency : verification.measured_ms)
        if (!std::isnan(latency) && !(latency > 0.0 && std::isfinite(latency)))
            throw core::DataError(fmt::format(
                "{}: /measured_ms has {}, expected a positive latency", file.name(), latency));
    return verification;
}

} // namespace hdap::study
