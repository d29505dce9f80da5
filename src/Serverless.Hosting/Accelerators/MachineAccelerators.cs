using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Serverless.Catalog.Accelerators;
using Serverless.Hosting.Engines.Processes;

namespace Serverless.Hosting.Accelerators;

/// <summary>
/// Looks for the accelerators of this machine, as its drivers show them: <c>nvidia-smi</c>, or what the kernel has of them under <c>/proc</c>, <c>/sys</c> and <c>/dev</c>. Whatever is
/// missing, damaged or hangs is no accelerator; a CPU is always found.
/// </summary>
/// <param name="root">The folder that holds <c>proc</c>, <c>sys</c> and <c>dev</c>.</param>
/// <param name="smi">The program to ask for NVIDIA's; null: the one on the PATH.</param>
/// <param name="time">The clock of <see cref="Patience"/>.</param>
public sealed partial class MachineAccelerators(string root, string? smi, TimeProvider time)
{
    private const string NvidiaSmi = "nvidia-smi";
    private const int MostDevices = 256;
    private const int LongestText = 1 << 16;

    /// <summary>How long <c>nvidia-smi</c> may take, which hangs where a card has fallen off its bus.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    /// <summary>Of this machine.</summary>
    public static MachineAccelerators Here { get; } = new("/", null, TimeProvider.System);

    /// <summary>What there is now; the CPU last.</summary>
    public async Task<IReadOnlyList<FoundAccelerator>> LookAsync(CancellationToken cancellationToken)
    {
        var nvidia = await AskNvidiaAsync(cancellationToken) ?? NvidiaOfKernel();
        var cpu = new FoundAccelerator(AcceleratorCatalog.Find("cpu"), "CPU", Environment.ProcessorCount, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes >> 20);
        return [.. Counted([.. nvidia, .. OfKernel()]), cpu];
    }

    private static IEnumerable<FoundAccelerator> Counted(IEnumerable<FoundAccelerator> devices) =>
        devices.GroupBy(device => (device.Device, device.MemoryMiB)).Select(same => same.First() with { Count = same.Sum(one => one.Count) });

    private static FoundAccelerator Nvidia(string name, long? memory) => new(AcceleratorCatalog.OfDevice("NVIDIA", name, memory), name, 1, memory);

    /// <summary>Null: there is none, or it does not answer.</summary>
    private async Task<List<FoundAccelerator>?> AskNvidiaAsync(CancellationToken cancellationToken)
    {
        if (EngineProcess.Find(smi ?? NvidiaSmi) is not { } program) return null;

        try
        {
            using var limit = new CancellationTokenSource(Patience, time);
            using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
            using var asked = Process.Start(new ProcessStartInfo(program, ["--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]) { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true });
            if (asked is null) return null;

            try
            {
                var text = await TextAsync(asked.StandardOutput, both.Token);
                await asked.WaitForExitAsync(both.Token);
                return asked.ExitCode == 0 ? [.. text.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Take(MostDevices).Select(OfLine)] : null;
            }
            finally
            {
                if (!asked.HasExited) asked.Kill(entireProcessTree: true);
            }
        }
        catch (Exception exception) when (exception is Win32Exception or InvalidOperationException or IOException || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            return null;
        }
    }

    private static async Task<string> TextAsync(StreamReader reader, CancellationToken cancellationToken)
    {
        var text = new StringBuilder();
        var buffer = new char[4096];
        while (text.Length < LongestText && await reader.ReadAsync(buffer, cancellationToken) is > 0 and var read) text.Append(buffer, 0, read);
        return text.ToString();
    }

    /// <summary>A name, and MiB where it knows them (<c>[N/A]</c> of a card that shares the machine's memory).</summary>
    private static FoundAccelerator OfLine(string line)
    {
        var comma = line.LastIndexOf(',');
        return comma < 0 ? Nvidia(line, null) : Nvidia(line[..comma].Trim(), long.TryParse(line[(comma + 1)..], CultureInfo.InvariantCulture, out var memory) ? memory : null);
    }

    /// <summary>The driver is there without its tools, as in containers.</summary>
    private IEnumerable<FoundAccelerator> NvidiaOfKernel() =>
        Entries("proc/driver/nvidia/gpus").Select(card => Text(Path.Combine(card, "information"))).Select(text => text is null ? null : Model().Match(text) is { Success: true } match ? match.Groups[1].Value.Trim() : null)
            .OfType<string>().Select(name => Nvidia(name, null));

    private List<FoundAccelerator> OfKernel()
    {
        var found = new List<FoundAccelerator>();
        if (Exists("dev/kfd"))
        {
            foreach (var device in Entries("sys/class/drm").Where(card => Card().IsMatch(Path.GetFileName(card))).Select(card => Path.Combine(card, "device")).Where(device => Id(device, "vendor") == "1002"))
            {
                var id = Id(device, "device");
                var known = AcceleratorCatalog.All.FirstOrDefault(one => one.Vendor == "AMD" && one.NodeSelector.Values.Contains(id, StringComparer.Ordinal));
                var memory = long.TryParse(Text(Path.Combine(device, "mem_info_vram_total")), CultureInfo.InvariantCulture, out var bytes) ? bytes >> 20 : (long?)null;
                found.Add(new FoundAccelerator(known, known is null ? $"AMD {id}" : $"AMD {known.Product}", 1, memory));
            }
        }

        foreach (var device in Entries("sys/class/accel").Select(one => Path.Combine(one, "device")))
        {
            if (Id(device, "vendor") == "1da3") found.Add(new FoundAccelerator(AcceleratorCatalog.Find(GaudiOf(Id(device, "device"))), $"Gaudi {Id(device, "device")}", 1, null));
            else if (Id(device, "vendor") == "1ae0") found.Add(new FoundAccelerator(null, $"TPU {Id(device, "device")}", 1, null));
        }

        var devices = Entries("dev").Select(path => Path.GetFileName(path)).ToList();
        if (devices.Count(name => Ascend().IsMatch(name)) is > 0 and var ascends) found.Add(new FoundAccelerator(null, "Ascend", ascends, null));
        if (devices.Count(name => Neuron().IsMatch(name)) is > 0 and var neurons) found.Add(new FoundAccelerator(null, "Neuron", neurons, null));
        return found;
    }

    private static string GaudiOf(string? id) => id switch { "1020" => "gaudi2", "1060" => "gaudi3", _ => "" };

    private bool Exists(string path) => Path.Exists(Path.Combine(root, path));

    private List<string> Entries(string path)
    {
        try
        {
            var folder = Path.Combine(root, path);
            return Directory.Exists(folder) ? [.. Directory.EnumerateFileSystemEntries(folder).Take(4096).Order(StringComparer.Ordinal)] : [];
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    /// <summary>A number of the PCI bus, without its <c>0x</c>.</summary>
    private static string? Id(string device, string name) => Text(Path.Combine(device, name)) is { } text ? text.StartsWith("0x", StringComparison.Ordinal) ? text[2..] : text : null;

    private static string? Text(string path)
    {
        try
        {
            if (!File.Exists(path)) return null;

            using var file = File.OpenText(path);
            var buffer = new char[4096];
            return new string(buffer, 0, file.ReadBlock(buffer)).Trim();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    [GeneratedRegex(@"^Model:\s*(.+)$", RegexOptions.Multiline, 1000)]
    private static partial Regex Model();

    [GeneratedRegex(@"^card\d+$", RegexOptions.None, 1000)]
    private static partial Regex Card();

    [GeneratedRegex(@"^davinci\d+$", RegexOptions.None, 1000)]
    private static partial Regex Ascend();

    [GeneratedRegex(@"^neuron\d+$", RegexOptions.None, 1000)]
    private static partial Regex Neuron();
}
