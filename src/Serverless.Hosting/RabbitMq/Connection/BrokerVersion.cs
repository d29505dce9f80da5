using System.Text;

namespace Serverless.Hosting.RabbitMq.Connection;

/// <summary>Which RabbitMQ it is, as it says itself, and what that one can do.</summary>
public readonly record struct BrokerVersion(int Major, int Minor)
{
    /// <summary>Whether a delivery limit of −1 is known; before, there is none unless it is set. From 4.0 on the default is 20, which preemption and restarts would use up.</summary>
    public bool HasDefaultDeliveryLimit => Major >= 4;

    /// <summary>Whether a queue may have its own consumer timeout (3.12); before, only the broker's configuration has one, and no client can read it.</summary>
    public bool HasQueueConsumerTimeout => Major > 3 || (Major == 3 && Minor >= 12);

    public static BrokerVersion Of(IDictionary<string, object?>? serverProperties) =>
        Parse(serverProperties?.TryGetValue("version", out var version) == true && version is byte[] bytes ? Encoding.UTF8.GetString(bytes) : "");

    /// <summary>A text that is no version reads as 0.0: what every release can do.</summary>
    public static BrokerVersion Parse(string text)
    {
        var parts = text.Split('.', '-');
        return parts.Length >= 2 && int.TryParse(parts[0], out var major) && int.TryParse(parts[1], out var minor) ? new(major, minor) : default;
    }

    public override string ToString() => $"{Major}.{Minor}";
}
