#include "weighing.hpp"

namespace hdap::fleet {

std::vector<double> shares_of(const std::vector<std::int32_t>& assigned_cluster,
                              std::size_t clusters) {
    std::vector<double> shares(clusters, 0.0);
    double all = 0.0;
    for (const std::int32_t cluster : assigned_cluster) {
        if (cluster < 0) continue;
        shares[static_cast<std::size_t>(cluster)] += 1.0;
        all += 1.0;
    }
    for (double& share : shares)
        share /= all;
    return shares;
}

void add_means(Clustering& clustering, std::size_t clusters) {
    clustering.cluster_mean_ratio.assign(clusters, 0.0);
    clustering.cluster_blend.assign(clusters * clusters, 0.0);
    std::vector<double> devices(clusters, 0.0);
    for (std::size_t i = 0; i < clustering.devices(); ++i) {
        if (clustering.assigned_cluster[i] < 0) continue;
        const auto own = static_cast<std::size_t>(clustering.assigned_cluster[i]);
        const auto blend = static_cast<std::size_t>(clustering.blend_of_device[i]);
        devices[own] += 1.0;
        clustering.cluster_mean_ratio[own] += clustering.device_ratio[i];
        for (std::size_t k = 0; k < clusters; ++k)
            clustering.cluster_blend[own * clusters + k] +=
                clustering.device_ratio[i] * clustering.blends[blend * clusters + k];
    }
    for (std::size_t own = 0; own < clusters; ++own) {
        if (devices[own] == 0.0) continue;
        clustering.cluster_mean_ratio[own] /= devices[own];
        for (std::size_t k = 0; k < clusters; ++k)
            clustering.cluster_blend[own * clusters + k] /= devices[own];
    }
}

} // namespace hdap::fleet
