#include "imported.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <fstream>
#include <map>

using namespace hdap;
using namespace hdap::fleet;
using namespace hdap::fleet::test;

namespace {

/// Attributes of a device whose latencies are in a table, and whose conditions tegrastats wrote.
std::map<std::string, double> conditions(const std::string& log, ImportReport* report = nullptr) {
    const hdap::test::TemporaryFolder folder;
    std::ofstream(folder / "nx.log") << log;
    std::ofstream(folder / "t.csv") << "device_id,benchmark,latency_ms\nnx,r,5\nother,r,6\n";
    ImportRequest request;
    request.source = folder / "t.csv";
    request.conditions = folder / "{device}.log";
    request.sku = "board";
    request.rejected.share = 0.5;
    const Fleet fleet = import_telemetry(request, report);
    std::map<std::string, double> values;
    for (const DeviceAttribute& attribute : fleet.attributes) {
        CHECK(std::isnan(attribute.values[1]));
        values[attribute.name + " " + attribute.unit] = attribute.values[0];
    }
    return values;
}

const std::string nano = "RAM 1923/3964MB (lfb 2x2MB) SWAP 191/1982MB (cached 6MB) IRAM 0/252kB "
                         "(lfb 252kB) CPU [5%@1224,4%@1224,off,3%@1000] EMC_FREQ 0%@1600 "
                         "GR3D_FREQ 0%@76 APE 25 PLL@37C CPU@40.5C PMIC@100C GPU@40C AO@45C "
                         "CV0@-256C thermal@40C POM_5V_IN 1750/1628 POM_5V_GPU 0/0\n";
const std::string orin = "10-08-2026 04:35:02 RAM 6712/7620MB (lfb 12x4MB) SWAP 369/3810MB (cached "
                         "8MB) CPU [38%@1500,2%@700] EMC_FREQ 61%@2133 GR3D_FREQ 99%@[612] NVDEC "
                         "off cpu@57.125C soc2@55.093C gpu@58.625C tj@58.312C VDD_IN "
                         "16321mW/11204mW VDD_CPU_GPU_CV 7104mW/4944mW\n";

} // namespace

TEST_CASE("tegrastats: what tells no conditions is refused") {
    const std::vector<std::pair<std::string, std::string>> cases = {
        {nano, "no measurements"},
        {"RAM 5/6MB CPU [x] GR3D_FREQ \n" + std::string(70'000, 'x'), "file:2: the line is longer"},
    };
    for (const auto& [text, message] : cases) {
        CHECK_THROWS_AS(imported(text), core::DataError);
        CHECK_THROWS_WITH(imported(text), Catch::Contains(message));
    }
    CHECK_THROWS_WITH(conditions(nano + "x\nx\nx\nx\n"),
                      Catch::Contains("4 × no line of tegrastats"));
    CHECK_THROWS_WITH(imported(nano, {}), Catch::Contains("{device}"));
}

TEST_CASE("tegrastats: conditions of older boards") {
    CHECK(conditions(nano) == std::map<std::string, double>{{"cpu_mhz MHz", 3448.0 / 3},
                                                            {"memory_mhz MHz", 1600},
                                                            {"gpu_mhz MHz", 76},
                                                            {"cpu_c degC", 40.5},
                                                            {"gpu_c degC", 40},
                                                            {"board_mw mW", 1750},
                                                            {"ram_mb MB", 1923}});
    CHECK(
        conditions(
            "RAM 5/9MB (lfb 1x1MB) cpu [0%,off,2%]@1734 EMC 7%@408 GR3D 9%@76 EDP limit 0\n") ==
        std::map<std::string, double>{
            {"cpu_mhz MHz", 1734}, {"memory_mhz MHz", 408}, {"gpu_mhz MHz", 76}, {"ram_mb MB", 5}});
}

TEST_CASE("tegrastats: conditions of newer boards, in the mean over the lines") {
    std::string later = orin;
    later.replace(later.find("@[612]"), 6, "@[512,712]");
    later.replace(later.find("16321mW"), 7, "16323mW");
    ImportReport report;
    CHECK(conditions(orin + later, &report) ==
          std::map<std::string, double>{{"cpu_mhz MHz", 1100},
                                        {"memory_mhz MHz", 2133},
                                        {"gpu_mhz MHz", 612},
                                        {"cpu_c degC", 57.125},
                                        {"gpu_c degC", 58.625},
                                        {"junction_c degC", 58.312},
                                        {"board_mw mW", 16322},
                                        {"ram_mb MB", 6712}});
    CHECK(report.files == 2);
    CHECK(report.rows == 4);
}

TEST_CASE("tegrastats: values that are no numbers, and the last word of a cut line, are left out") {
    CHECK(conditions(
              "RAM nan/9MB CPU [1%@nan,2%@1e999] GR3D_FREQ 1%@inf EMC_FREQ 5%@160 gpu@nanC\n") ==
          std::map<std::string, double>{{"memory_mhz MHz", 160}});
    CHECK(conditions("RAM 5/9MB EMC_FREQ 5%@160 GR3D_FREQ 99%@13") ==
          std::map<std::string, double>{{"memory_mhz MHz", 160}, {"ram_mb MB", 5}});
}
