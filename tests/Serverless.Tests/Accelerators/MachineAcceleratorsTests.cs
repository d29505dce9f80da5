using System.Diagnostics;
using Serverless.Hosting.Accelerators;
using Shouldly;

namespace Serverless.Tests.Accelerators;

public sealed class MachineAcceleratorsTests : IDisposable
{
    private readonly DirectoryInfo _root = Directory.CreateTempSubdirectory("serverless-machine-");

    private readonly TestClock _clock = new();

    public void Dispose() => _root.Delete(recursive: true);

    [Fact]
    public async Task A_machine_without_any_has_its_CPU()
    {
        var found = (await LookAsync()).ShouldHaveSingleItem();

        found.Class!.Name.ShouldBe("cpu");
        found.Count.ShouldBe(Environment.ProcessorCount);
        found.MemoryMiB!.Value.ShouldBeGreaterThan(0);
    }

    [Fact]
    public async Task Cards_are_counted_by_what_nvidia_smi_says()
    {
        var found = await LookAsync(await ProgramAsync("printf 'NVIDIA A10, 23028\\nNVIDIA A10, 23028\\nNVIDIA GB10, [N/A]\\n'"));

        found[..^1].ShouldBe([new FoundAccelerator(Catalog("a10"), "NVIDIA A10", 2, 23_028), new FoundAccelerator(null, "NVIDIA GB10", 1, null)]);
    }

    [Fact]
    public async Task Without_its_tools_the_driver_says_what_there_is()
    {
        Write("proc/driver/nvidia/gpus/0000:01:00.0/information", "Model: \t\t NVIDIA L4\nIRQ: 16\n");

        (await LookAsync(await ProgramAsync("exit 9")))[0].ShouldBe(new FoundAccelerator(Catalog("l4"), "NVIDIA L4", 1, null));
    }

    /// <summary>A card that has fallen off its bus has it hang.</summary>
    [Fact]
    public async Task One_that_hangs_is_waited_for_a_bounded_time()
    {
        var looking = LookAsync(await ProgramAsync($"mkfifo '{_root.FullName}/never'; read nothing < '{_root.FullName}/never'"));
        _clock.Advance(MachineAccelerators.Patience);

        (await looking).ShouldHaveSingleItem().Class!.Name.ShouldBe("cpu");
    }

    [Fact]
    public async Task Cards_of_AMD_are_those_of_the_kernel()
    {
        Write("dev/kfd", "");
        foreach (var card in (string[])["card0", "card1"])
        {
            Write($"sys/class/drm/{card}/device/vendor", "0x1002\n");
            Write($"sys/class/drm/{card}/device/device", "0x74a1\n");
            Write($"sys/class/drm/{card}/device/mem_info_vram_total", "206141652992\n");
        }

        Write("sys/class/drm/card0-DP-1/status", "connected");
        Write("sys/class/drm/card2/device/vendor", "0x1a03\n"); // the board's own, for a screen

        (await LookAsync())[0].ShouldBe(new FoundAccelerator(Catalog("mi300x"), "AMD MI300X", 2, 196_592));
    }

    [Fact]
    public async Task Others_are_found_by_their_devices()
    {
        Write("sys/class/accel/accel0/device/vendor", "0x1da3");
        Write("sys/class/accel/accel0/device/device", "0x1020");
        Write("dev/davinci0", "");
        Write("dev/davinci1", "");
        Write("dev/davinci_manager", "");
        Write("dev/neuron0", "");

        (await LookAsync())[..^1].Select(found => (found.Class?.Name, found.Device, found.Count)).ShouldBe([("gaudi2", "Gaudi 1020", 1), (null, "Ascend", 2), (null, "Neuron", 1)]);
    }

    [Fact]
    public async Task What_is_damaged_is_none()
    {
        Write("dev/kfd", "");
        Write("sys/class/drm/card0/device/vendor", "\0\0garbage");
        Write("sys/class/accel", "a file");
        Write("proc/driver/nvidia/gpus/x/information", new string('x', 100_000));

        (await LookAsync(Path.Combine(_root.FullName, "nope"))).ShouldHaveSingleItem();
    }

    private static Serverless.Catalog.Accelerators.Accelerator? Catalog(string name) => Serverless.Catalog.Accelerators.AcceleratorCatalog.Find(name);

    private async Task<FoundAccelerator[]> LookAsync(string? smi = null) =>
        [.. await new MachineAccelerators(_root.FullName, smi ?? Path.Combine(_root.FullName, "nope"), _clock).LookAsync(TestContext.Current.CancellationToken).WithinLimitAsync()];

    /// <summary>Another process writes it: what this one has open to write cannot be run, and its children have it open for a moment too.</summary>
    private async Task<string> ProgramAsync(string script)
    {
        var (text, path) = (Path.Combine(_root.FullName, "smi.txt"), Path.Combine(_root.FullName, "smi"));
        await File.WriteAllTextAsync(text, $"#!/bin/sh\n{script}\n", TestContext.Current.CancellationToken);
        using var copying = Process.Start("install", ["-m", "755", text, path]);
        await copying.WaitForExitAsync(TestContext.Current.CancellationToken);
        return path;
    }

    private void Write(string name, string text)
    {
        var path = Path.Combine(_root.FullName, name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, text);
    }
}
