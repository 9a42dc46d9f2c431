#include "verification_file.hpp"

#include "hdap/core/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace hdap::study {
namespace {

/// How many of the devices have measured a network.
std::size_t answers_of(const Verification& verification, std::size_t network) {
    std::size_t answers = 0;
    for (std::size_t d = 0; d < verification.devices.size(); ++d)
        if (verification.has(network, d)) ++answers;
    return answers;
}

bool has_measured_one(const Verification& verification, std::size_t device) {
    for (std::size_t n = 0; n < verification.genomes.size(); ++n)
        if (verification.has(n, device)) return true;
    return false;
}

/// The networks that at least half of the devices that answered have measured.
std::vector<std::size_t> networks_to_compare(const Verification& verification) {
    std::size_t answering = 0;
    for (std::size_t d = 0; d < verification.devices.size(); ++d)
        if (has_measured_one(verification, d)) ++answering;
    std::vector<std::size_t> networks;
    for (std::size_t n = 0; answering > 0 && n < verification.genomes.size(); ++n)
        if (2 * answers_of(verification, n) >= answering) networks.push_back(n);
    return networks;
}

std::vector<double> read_latencies(const storage::Hdf5Reader& file, const std::string& name,
                                   const storage::Shape& shape) {
    std::vector<double> latencies = file.read<double>(name, shape);
    for (const double latency : latencies)
        if (!std::isnan(latency) && !(latency > 0.0 && std::isfinite(latency)))
            throw core::DataError(fmt::format("{}: {} has {}, expected a positive number",
                                              file.name(), name, latency));
    return latencies;
}

} // namespace

Verification comparable_part(const Verification& verification) {
    const std::vector<std::size_t> networks = networks_to_compare(verification);
    std::vector<std::size_t> devices;
    for (std::size_t d = 0; d < verification.devices.size(); ++d)
        if (std::ranges::all_of(networks, [&](std::size_t n) { return verification.has(n, d); }))
            devices.push_back(d);
    Verification part;
    part.occasion = verification.occasion;
    if (networks.empty() || networks.front() != 0 || devices.empty()) return part;
    for (const std::size_t d : devices)
        part.devices.push_back(verification.devices[d]);
    for (const std::size_t n : networks)
        part.genomes.push_back(verification.genomes[n]);
    const auto taken_of = [&](const std::vector<double>& all) {
        std::vector<double> taken;
        for (const std::size_t n : networks)
            for (const std::size_t d : devices)
                taken.push_back(all[n * verification.devices.size() + d]);
        return taken;
    };
    part.measured_ms = taken_of(verification.measured_ms);
    for (const auto& [quantity, values] : verification.others)
        part.others[quantity] = taken_of(values);
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
    const auto write = [&](fleet::Quantity quantity, const std::vector<double>& values) {
        const std::string path(fleet::row_of(quantity).measured_path);
        file.write(path, values, {networks, verification.devices.size()});
        file.attribute(path, "unit", std::string(fleet::row_of(quantity).unit));
    };
    write(fleet::Quantity::latency, verification.measured_ms);
    for (const auto& [quantity, values] : verification.others)
        write(quantity, values);
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
    const storage::Shape latencies{shape[0], verification.devices.size()};
    verification.measured_ms = read_latencies(file, "/measured_ms", latencies);
    for (const fleet::QuantityRow& row : fleet::other_quantities())
        if (const std::string path(row.measured_path); file.contains(path))
            verification.others[row.quantity] = read_latencies(file, path, latencies);
    return verification;
}

} // namespace hdap::study
