using System.Globalization;
using System.Text;
using RabbitMQ.Client;

namespace Serverless.Hosting.RabbitMq.Messages;

/// <summary>Values of headers as brokers and foreign clients give them.</summary>
internal static class HeaderValues
{
    public static object? Find(IReadOnlyBasicProperties properties, string name) => properties.Headers is { } headers && headers.TryGetValue(name, out var value) ? value : null;

    public static string Text(object? header) => header switch
    {
        byte[] bytes => Encoding.UTF8.GetString(bytes),
        null => "",
        _ => Convert.ToString(header, CultureInfo.InvariantCulture) ?? "",
    };

    public static long? Number(object? header) => header switch
    {
        int number => number,
        long number => number,
        short number => number,
        byte number => number,
        _ => null,
    };

    /// <summary>For people: short.</summary>
    public static string Show(object header) => Text(header) is { Length: <= 40 } text ? $"'{text}'" : "a long text";
}
